#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write src/walk/pylayout-table.inc: where each CPython keeps what the walk reads.

    maint/pylayout.py > src/walk/pylayout-table.inc

The offsets come from the debug information of the interpreters in ~/.pyenv/versions (one per
minor version; those given as arguments instead, as paths of libpython or python), asked through
gdb. LP64 little-endian interpreters of the default configuration agree on all of them, x86_64 or
aarch64: nothing that is read lies behind a pthread mutex, whose size is the one thing that differs.
"""
import glob
import os
import re
import subprocess
import sys

# Field of struct py_offsets: where it is, the first that exists. "type:member.member", or
# "type:sizeof", or "type:member@bits" for the lowest bit of a bit-field within its word.
FIELDS = [
    ("runtime_head", ["_PyRuntimeState:interpreters.head"]),
    ("runtime_main", ["_PyRuntimeState:interpreters.main"]),
    ("runtime_finalizing", ["_PyRuntimeState:_finalizing", "_PyRuntimeState:finalizing"]),
    ("runtime_gil", ["_PyRuntimeState:ceval.gil"]),
    ("interp_next", ["PyInterpreterState:next"]),
    ("interp_id", ["PyInterpreterState:id"]),
    ("interp_threads", ["PyInterpreterState:threads.head", "PyInterpreterState:tstate_head"]),
    ("interp_gil", ["PyInterpreterState:ceval.gil"]),
    ("interp_own_gil", ["PyInterpreterState:_gil"]),
    ("gil_holder", ["struct _gil_runtime_state:last_holder"]),
    ("gil_locked", ["struct _gil_runtime_state:locked"]),
    ("gil_enabled", ["struct _gil_runtime_state:enabled"]),
    ("tstate_next", ["PyThreadState:next"]),
    ("tstate_interp", ["PyThreadState:interp"]),
    ("tstate_frame", ["PyThreadState:current_frame", "PyThreadState:frame",
                      "PyThreadState:cframe"]),
    ("tstate_thread_id", ["PyThreadState:thread_id"]),
    ("tstate_native_id", ["PyThreadState:native_thread_id"]),
    ("cframe_frame", ["_PyCFrame:current_frame"]),
    ("frame_back", ["_PyInterpreterFrame:previous", "PyFrameObject:f_back"]),
    ("frame_code", ["_PyInterpreterFrame:f_executable", "_PyInterpreterFrame:f_code",
                    "PyFrameObject:f_code"]),
    ("frame_position", ["_PyInterpreterFrame:instr_ptr", "_PyInterpreterFrame:prev_instr",
                        "PyFrameObject:f_lasti"]),
    ("frame_owner", ["_PyInterpreterFrame:owner"]),
    ("frame_entry", ["_PyInterpreterFrame:is_entry"]),
    ("frame_trace", ["!_PyInterpreterFrame", "PyFrameObject:f_trace"]),
    ("frame_lineno", ["!_PyInterpreterFrame", "PyFrameObject:f_lineno"]),
    ("code_name", ["PyCodeObject:co_name"]),
    ("code_qualname", ["PyCodeObject:co_qualname"]),
    ("code_file", ["PyCodeObject:co_filename"]),
    ("code_firstline", ["PyCodeObject:co_firstlineno"]),
    ("code_lines", ["PyCodeObject:co_linetable", "PyCodeObject:co_lnotab"]),
    ("code_traceable", ["PyCodeObject:_co_firsttraceable"]),
    ("code_instructions", ["PyCodeObject:co_code_adaptive"]),
    ("object_type", ["PyObject:ob_type"]),
    ("object_size", ["PyVarObject:ob_size"]),
    ("type_name", ["PyTypeObject:tp_name"]),
    ("bytes_data", ["PyBytesObject:ob_sval", "PyStringObject:ob_sval"]),
    ("str_length", ["PyASCIIObject:length"]),
    ("str_state", ["PyASCIIObject:state"]),
    ("str_ascii", ["PyASCIIObject:sizeof"]),
    ("str_compact", ["PyCompactUnicodeObject:sizeof"]),
    ("str_kind_bit", ["PyASCIIObject:state.kind@bits"]),
    ("str_compact_bit", ["PyASCIIObject:state.compact@bits"]),
    ("str_ascii_bit", ["PyASCIIObject:state.ascii@bits"]),
]

# The same fields within _Py_DebugOffsets, where the interpreter publishes them.
PUBLISHED = {
    "runtime_head": "runtime_state.interpreters_head",
    "runtime_finalizing": "runtime_state.finalizing",
    "interp_next": "interpreter_state.next",
    "interp_id": "interpreter_state.id",
    "interp_threads": "interpreter_state.threads_head",
    "interp_gil": "interpreter_state.ceval_gil",
    "interp_own_gil": "interpreter_state.gil_runtime_state",
    "gil_holder": "interpreter_state.gil_runtime_state_holder",
    "gil_locked": "interpreter_state.gil_runtime_state_locked",
    "gil_enabled": "interpreter_state.gil_runtime_state_enabled",
    "tstate_next": "thread_state.next",
    "tstate_interp": "thread_state.interp",
    "tstate_frame": "thread_state.current_frame",
    "tstate_thread_id": "thread_state.thread_id",
    "tstate_native_id": "thread_state.native_thread_id",
    "frame_back": "interpreter_frame.previous",
    "frame_code": "interpreter_frame.executable",
    "frame_position": "interpreter_frame.instr_ptr",
    "frame_owner": "interpreter_frame.owner",
    "code_name": "code_object.name",
    "code_qualname": "code_object.qualname",
    "code_file": "code_object.filename",
    "code_firstline": "code_object.firstlineno",
    "code_lines": "code_object.linetable",
    "code_instructions": "code_object.co_code_adaptive",
    "object_type": "pyobject.ob_type",
    "object_size": "bytes_object.ob_size",
    "type_name": "type_object.tp_name",
    "bytes_data": "bytes_object.ob_sval",
    "str_length": "unicode_object.length",
    "str_state": "unicode_object.state",
    "str_ascii": "unicode_object.asciiobject_size",
}

INSIDE_GDB = r'''
import gdb

def offset(where):
    if where.startswith("!"):
        try:
            gdb.lookup_type(where[1:])
        except gdb.error:
            return None
        return "absent"
    kind, _, path = where.partition(":")
    bits = path.endswith("@bits")
    path = path.replace("@bits", "")
    try:
        t = gdb.lookup_type(kind).strip_typedefs()
        if path == "sizeof":
            return t.sizeof
        at = 0
        for name in path.split("."):
            field = t.strip_typedefs()[name]
            at += field.bitpos
            t = field.type.strip_typedefs()
        if path.endswith("ceval.gil") and t.code == gdb.TYPE_CODE_PTR:
            return None if kind == "_PyRuntimeState" else at // 8
        if path.endswith("ceval.gil") and kind == "PyInterpreterState":
            return None
        return field.bitpos if bits else at // 8
    except (gdb.error, KeyError):
        return None

def first(places):
    for where in places:
        at = offset(where)
        if at == "absent":
            return None
        if at is not None:
            return at
    return None

for name, places in FIELDS:
    print("FIELD", name, first(places))
for name, where in PUBLISHED.items():
    print("PUBLISHED", name, offset("_Py_DebugOffsets:" + where))
'''


def ask(binary):
    script = f"FIELDS = {FIELDS!r}\nPUBLISHED = {PUBLISHED!r}\n{INSIDE_GDB}"
    out = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set auto-load off", "-ex",
                          "python exec(" + repr(script) + ")", binary],
                         capture_output=True, text=True, check=True).stdout
    rows = {"FIELD": {}, "PUBLISHED": {}}
    for line in out.splitlines():
        m = re.fullmatch(r"(FIELD|PUBLISHED) (\w+) (\d+|None)", line)
        if m:
            rows[m[1]][m[2]] = None if m[3] == "None" else int(m[3])
    return rows["FIELD"], rows["PUBLISHED"]


def emit(name, offsets):
    print(f"#define {name} {{{{ \\")
    for field, _ in FIELDS:
        at = offsets.get(field)
        print(f"\t.{field} = {'PY_NONE' if at is None else at}, \\")
    print("}}\n")


def main():
    binaries = sys.argv[1:] or sorted(
        glob.glob(os.path.expanduser("~/.pyenv/versions/*/lib/libpython?.*.so.1.0")))
    seen = {}
    for binary in binaries:
        m = re.search(r"python(\d)\.(\d+)", os.path.basename(binary))
        if m:
            seen[int(m[1]), int(m[2])] = binary
    if not seen:
        sys.exit("no interpreter with debug information found")
    print("/* SPDX-License-Identifier: GPL-3.0-or-later */")
    print("/* Made by maint/pylayout.py from interpreters' debug information; do not edit. */\n")
    for (major, minor), binary in sorted(seen.items()):
        fields, published = ask(binary)
        if fields["frame_code"] is None:
            sys.exit(f"{binary}: no debug information")
        emit(f"PY_OFFSETS_{major}_{minor}", fields)
        if published["runtime_head"] is not None:
            emit(f"PY_PUBLISHED_{major}_{minor}", published)


main()
