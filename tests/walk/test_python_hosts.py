# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters within other programs, and where files have other names than here."""
import os
import shutil
import subprocess

import pytest

from living import HERE, Victim, python, version_of  # noqa: F401 (a fixture)
from test_python_find import HELLO, check, home_of, shared


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """host(python): a C program linked with that one's libpython, and what it needs to run."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")

    def linked(python):
        library = shared(python)
        program = tmp_path_factory.mktemp("host") / "server"
        done = subprocess.run(
            compiler.split()
            + ["-g", "-O1", "-w", "-DPY_HEX=0x%02x%02x" % version_of(python)]
            + ["-o", program, HERE / "victim_host.c", library]
            + ["-Wl,-rpath," + os.path.dirname(library)],
            stderr=subprocess.PIPE,
        )
        assert done.returncode == 0, done.stderr.decode()
        return str(program), dict(os.environ, PYTHONHOME=home_of(python))

    return linked


def merged_names(report):
    return [
        (frame["function"] or "").split(".")[-1] for frame in report["threads"][0]["stack"]
    ]


def test_a_program_that_was_linked_with_python_shows_both_its_stacks(host, python, tmp_path):
    program, env = host(python)
    with Victim(program, env=env) as victim:
        report = check(victim, tmp_path)
    assert report["python"]["library"] == shared(python)
    names = merged_names(report)
    order = ["hello", "<module>", "PyRun_SimpleStringFlags", "serve_request", "main"]
    if not any("PyRun_SimpleString" in name for name in names):
        order.remove("PyRun_SimpleStringFlags")
    places = [names.index(name) for name in order]
    assert places == sorted(places), names


def test_a_program_that_becomes_python_shows_both_its_stacks(host, python, tmp_path):
    program, env = host(python)
    with Victim(program, "-c", HELLO, env=env) as victim:
        report = check(victim, tmp_path)
    names = merged_names(report)
    places = [names.index(name) for name in ["hello", "<module>", "be_python", "main"]]
    assert places == sorted(places), names


# What programs are linked with is where it was; the interpreter's home is at /py, too.
OTHER_ROOT = """
set -e
home=$1 root=$2 code=$3
for folder in /usr /lib /lib64 /opt "$home"; do
    if [ -e "$folder" ]; then
        mkdir -p "$root$folder"
        mount --rbind "$folder" "$root$folder"
    fi
done
mkdir -p "$root/py"
mount --bind "$home" "$root/py"
exec chroot "$root" "/py/bin/$4" -c "$code"
"""


def test_files_of_another_mount_namespace_and_root_are_read_there(python, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root makes a mount namespace with a root of its own")
    tried = subprocess.run(["unshare", "-m", "true"], stderr=subprocess.PIPE)
    if tried.returncode:
        pytest.skip("no mount namespace: " + tried.stderr.decode().strip())
    home, root = home_of(python), tmp_path / "root"
    root.mkdir()
    command = ["unshare", "-m", "sh", "-c", OTHER_ROOT, "sh", home, root, HELLO]
    name = "python%d.%d" % version_of(python)
    with Victim(*command, name, env=dict(os.environ, PYTHONHOME="/py")) as victim:
        report = check(victim, tmp_path / "reports")
    assert not os.path.exists("/py")
    if home != "/usr":
        assert not os.path.exists(report["process"]["exe"]), report["process"]["exe"]
    # By its files it is known where its loops are, and what its functions are called.
    stack = report["threads"][0]["stack"]
    assert [frame["function"] for frame in stack if frame["kind"] == "python"] == [
        "hello",
        "<module>",
    ], report["gaps"]
    assert not [gap for gap in report["gaps"] if "native frames" in gap["what"]], report["gaps"]
