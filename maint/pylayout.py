#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write src/walk/pylayout-table.inc: where each CPython keeps what the walk reads.

    maint/pylayout.py > src/walk/pylayout-table.inc

The offsets come from the debug information of the interpreters in ~/.pyenv/versions (one per
minor version; those given as arguments instead, as paths of libpython or python), asked through
gdb. A distribution has it in files apart, found by build id in --debug-directory. LP64
little-endian interpreters of the default configuration agree on all offsets, x86_64 or aarch64: a
pthread mutex, whose size is the one thing that differs, stands only before what interpreters
publish themselves. For --free-threaded, which is rarely packaged, the headers with internals of
an ordinary interpreter (its .../include/python3.X) are compiled as a free-threaded one would.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile
import textwrap

# Field of union py_offsets: where it is, the first that exists. "type:member.member" is an offset,
# "type:sizeof" the size of the whole; "type:member@bits" is the lowest bit of a bit-field within
# its word. "!type" ends the search where there is such a type. What
# ASYNCIO matches may be in the module _asyncio, where that is a file of its own.
FIELDS = [
    ("runtime_head", ["_PyRuntimeState:interpreters.head"]),
    ("runtime_main", ["_PyRuntimeState:interpreters.main"]),
    ("runtime_finalizing", ["_PyRuntimeState:_finalizing", "_PyRuntimeState:finalizing"]),
    ("runtime_gil", ["_PyRuntimeState:ceval.gil"]),
    ("runtime_gc", ["_PyRuntimeState:gc"]),
    ("interp_next", ["PyInterpreterState:next"]),
    ("interp_id", ["PyInterpreterState:id"]),
    ("interp_threads", ["PyInterpreterState:threads.head", "PyInterpreterState:tstate_head"]),
    ("interp_gil", ["PyInterpreterState:ceval.gil"]),
    ("interp_own_gil", ["PyInterpreterState:_gil"]),
    ("interp_gc", ["PyInterpreterState:gc"]),
    ("interp_finalizing", ["PyInterpreterState:_finalizing"]),
    ("interp_modules", ["PyInterpreterState:imports.modules", "PyInterpreterState:modules"]),
    ("interp_sysdict", ["PyInterpreterState:sysdict"]),
    ("interp_builtins", ["PyInterpreterState:builtins"]),
    ("interp_tasks", ["PyInterpreterState:asyncio_tasks_head"]),
    ("gil_holder", ["struct _gil_runtime_state:last_holder"]),
    ("gil_locked", ["struct _gil_runtime_state:locked"]),
    ("gil_enabled", ["struct _gil_runtime_state:enabled"]),
    ("gc_collecting", ["struct _gc_runtime_state:collecting"]),
    ("tstate_next", ["PyThreadState:next"]),
    ("tstate_interp", ["PyThreadState:interp"]),
    ("tstate_frame", ["PyThreadState:current_frame", "PyThreadState:frame",
                      "PyThreadState:cframe"]),
    ("tstate_cframe", ["PyThreadState:cframe"]),
    ("tstate_base_frame", ["PyThreadState:base_frame"]),
    ("tstate_thread_id", ["PyThreadState:thread_id"]),
    ("tstate_native_id", ["PyThreadState:native_thread_id"]),
    ("tstate_dict", ["PyThreadState:dict"]),
    ("tstate_exception", ["PyThreadState:current_exception", "PyThreadState:curexc_value"]),
    ("tstate_exception_type", ["PyThreadState:curexc_type"]),
    ("tstate_exception_traceback", ["PyThreadState:curexc_traceback"]),
    ("tstate_handled", ["PyThreadState:exc_info"]),
    ("tstate_handled_base", ["PyThreadState:exc_state"]),
    ("tstate_handled_type", ["PyThreadState:exc_type"]),
    ("tstate_handled_value", ["PyThreadState:exc_value"]),
    ("tstate_handled_traceback", ["PyThreadState:exc_traceback"]),
    ("tstate_loop", ["_PyThreadStateImpl:asyncio_running_loop"]),
    ("tstate_task", ["_PyThreadStateImpl:asyncio_running_task"]),
    ("tstate_tasks", ["_PyThreadStateImpl:asyncio_tasks_head"]),
    ("handled_type", ["_PyErr_StackItem:exc_type"]),
    ("handled_value", ["_PyErr_StackItem:exc_value"]),
    ("handled_traceback", ["_PyErr_StackItem:exc_traceback"]),
    ("handled_previous", ["_PyErr_StackItem:previous_item"]),
    ("cframe_frame", ["_PyCFrame:current_frame"]),
    ("cframe_previous", ["_PyCFrame:previous", "CFrame:previous"]),
    ("frame_back", ["_PyInterpreterFrame:previous", "PyFrameObject:f_back"]),
    ("frame_code", ["_PyInterpreterFrame:f_executable", "_PyInterpreterFrame:f_code",
                    "PyFrameObject:f_code"]),
    ("frame_position", ["_PyInterpreterFrame:instr_ptr", "_PyInterpreterFrame:prev_instr",
                        "PyFrameObject:f_lasti"]),
    ("frame_owner", ["_PyInterpreterFrame:owner"]),
    ("frame_entry", ["_PyInterpreterFrame:is_entry"]),
    ("frame_trace", ["!_PyInterpreterFrame", "PyFrameObject:f_trace"]),
    ("frame_lineno", ["!_PyInterpreterFrame", "PyFrameObject:f_lineno"]),
    ("frame_tlbc", ["_PyInterpreterFrame:tlbc_index"]),
    ("frame_function", ["_PyInterpreterFrame:f_funcobj", "_PyInterpreterFrame:f_func"]),
    ("frame_globals", ["_PyInterpreterFrame:f_globals", "PyFrameObject:f_globals"]),
    ("frame_builtins", ["_PyInterpreterFrame:f_builtins", "PyFrameObject:f_builtins"]),
    ("frame_locals", ["_PyInterpreterFrame:f_locals", "PyFrameObject:f_locals"]),
    ("frame_object", ["_PyInterpreterFrame:frame_obj"]),
    ("frame_fast", ["_PyInterpreterFrame:localsplus", "PyFrameObject:f_localsplus"]),
    ("frame_stack", ["!_PyInterpreterFrame", "PyFrameObject:f_valuestack"]),
    ("frame_stack_top", ["_PyInterpreterFrame:stackpointer", "!_PyInterpreterFrame",
                         "PyFrameObject:f_stacktop"]),
    ("frame_stack_depth", ["_PyInterpreterFrame:stacktop", "!_PyInterpreterFrame",
                           "PyFrameObject:f_stackdepth"]),
    ("frame_state", ["!_PyInterpreterFrame", "PyFrameObject:f_state"]),
    ("frame_executing", ["!_PyInterpreterFrame", "PyFrameObject:f_executing"]),
    ("frameobject_frame", ["PyFrameObject:f_frame"]),
    ("frameobject_back", ["!!_PyInterpreterFrame", "PyFrameObject:f_back"]),
    ("frameobject_lineno", ["!!_PyInterpreterFrame", "PyFrameObject:f_lineno"]),
    ("code_name", ["PyCodeObject:co_name"]),
    ("code_qualname", ["PyCodeObject:co_qualname"]),
    ("code_file", ["PyCodeObject:co_filename"]),
    ("code_firstline", ["PyCodeObject:co_firstlineno"]),
    ("code_lines", ["PyCodeObject:co_linetable", "PyCodeObject:co_lnotab"]),
    ("code_traceable", ["PyCodeObject:_co_firsttraceable"]),
    ("code_instructions", ["PyCodeObject:co_code_adaptive"]),
    ("code_bytes", ["!_PyInterpreterFrame", "PyCodeObject:co_code"]),
    ("code_tlbc", ["PyCodeObject:co_tlbc"]),
    ("code_flags", ["PyCodeObject:co_flags"]),
    ("code_argcount", ["PyCodeObject:co_argcount"]),
    ("code_kwonlyargcount", ["PyCodeObject:co_kwonlyargcount"]),
    ("code_stacksize", ["PyCodeObject:co_stacksize"]),
    ("code_nlocals", ["PyCodeObject:co_nlocals"]),
    ("code_nlocalsplus", ["PyCodeObject:co_nlocalsplus"]),
    ("code_localsplusnames", ["PyCodeObject:co_localsplusnames"]),
    ("code_localspluskinds", ["PyCodeObject:co_localspluskinds"]),
    ("code_varnames", ["PyCodeObject:co_varnames"]),
    ("code_cellvars", ["PyCodeObject:co_cellvars"]),
    ("code_freevars", ["PyCodeObject:co_freevars"]),
    ("object_header", ["PyObject:sizeof"]),
    ("object_type", ["PyObject:ob_type"]),
    ("object_size", ["PyVarObject:ob_size"]),
    ("type_name", ["PyTypeObject:tp_name"]),
    ("type_flags", ["PyTypeObject:tp_flags"]),
    ("type_basicsize", ["PyTypeObject:tp_basicsize"]),
    ("type_itemsize", ["PyTypeObject:tp_itemsize"]),
    ("type_dictoffset", ["PyTypeObject:tp_dictoffset"]),
    ("type_base", ["PyTypeObject:tp_base"]),
    ("type_mro", ["PyTypeObject:tp_mro"]),
    ("type_dict", ["PyTypeObject:tp_dict"]),
    ("type_heap_name", ["PyHeapTypeObject:ht_name"]),
    ("type_heap_qualname", ["PyHeapTypeObject:ht_qualname"]),
    ("type_cached_keys", ["PyHeapTypeObject:ht_cached_keys"]),
    ("bytes_data", ["PyBytesObject:ob_sval", "PyStringObject:ob_sval"]),
    ("bytearray_start", ["PyByteArrayObject:ob_start", "PyByteArrayObject:ob_bytes"]),
    ("str_length", ["PyASCIIObject:length"]),
    ("str_state", ["PyASCIIObject:state"]),
    ("str_ascii", ["PyASCIIObject:sizeof"]),
    ("str_compact", ["PyCompactUnicodeObject:sizeof"]),
    ("str_kind_bit", ["PyASCIIObject:state.kind@bits"]),
    ("str_compact_bit", ["PyASCIIObject:state.compact@bits"]),
    ("str_ascii_bit", ["PyASCIIObject:state.ascii@bits"]),
    ("unicode_length", ["!PyASCIIObject", "PyUnicodeObject:length"]),
    ("unicode_data", ["!PyASCIIObject", "PyUnicodeObject:str"]),
    ("int_value", ["PyIntObject:ob_ival"]),
    ("long_tag", ["PyLongObject:long_value.lv_tag"]),
    ("long_digits", ["PyLongObject:long_value.ob_digit", "PyLongObject:ob_digit"]),
    ("float_value", ["PyFloatObject:ob_fval"]),
    ("complex_value", ["PyComplexObject:cval"]),
    ("tuple_items", ["PyTupleObject:ob_item"]),
    ("list_items", ["PyListObject:ob_item"]),
    ("set_fill", ["PySetObject:fill"]),
    ("set_used", ["PySetObject:used"]),
    ("set_mask", ["PySetObject:mask"]),
    ("set_table", ["PySetObject:table"]),
    ("setentry_size", ["setentry:sizeof"]),
    ("setentry_key", ["setentry:key"]),
    ("dict_fill", ["PyDictObject:ma_fill"]),
    ("dict_used", ["PyDictObject:ma_used"]),
    ("dict_mask", ["PyDictObject:ma_mask"]),
    ("dict_table", ["PyDictObject:ma_table"]),
    ("dict_keys", ["PyDictObject:ma_keys"]),
    ("dict_values", ["PyDictObject:ma_values"]),
    ("keys_size", ["PyDictKeysObject:dk_size"]),
    ("keys_log2_size", ["PyDictKeysObject:dk_log2_size"]),
    ("keys_log2_index", ["PyDictKeysObject:dk_log2_index_bytes"]),
    ("keys_kind", ["PyDictKeysObject:dk_kind"]),
    ("keys_usable", ["PyDictKeysObject:dk_usable"]),
    ("keys_entries", ["PyDictKeysObject:dk_nentries"]),
    ("keys_indices", ["PyDictKeysObject:dk_indices"]),
    ("entry_size", ["PyDictKeyEntry:sizeof", "PyDictEntry:sizeof"]),
    ("entry_key", ["PyDictKeyEntry:me_key", "PyDictEntry:me_key"]),
    ("entry_value", ["PyDictKeyEntry:me_value", "PyDictEntry:me_value"]),
    ("strentry_size", ["PyDictUnicodeEntry:sizeof"]),
    ("strentry_key", ["PyDictUnicodeEntry:me_key"]),
    ("strentry_value", ["PyDictUnicodeEntry:me_value"]),
    ("values_capacity", ["struct _dictvalues:capacity"]),
    ("values_items", ["struct _dictvalues:values"]),
    ("values_valid", ["struct _dictvalues:valid"]),
    ("values_embedded", ["struct _dictvalues:embedded"]),
    ("exc_dict", ["PyBaseExceptionObject:dict"]),
    ("exc_args", ["PyBaseExceptionObject:args"]),
    ("exc_message", ["PyBaseExceptionObject:message"]),
    ("exc_notes", ["PyBaseExceptionObject:notes"]),
    ("exc_traceback", ["PyBaseExceptionObject:traceback"]),
    ("exc_context", ["PyBaseExceptionObject:context"]),
    ("exc_cause", ["PyBaseExceptionObject:cause"]),
    ("exc_suppress_context", ["PyBaseExceptionObject:suppress_context"]),
    ("exc_group_message", ["PyBaseExceptionGroupObject:msg"]),
    ("exc_group_exceptions", ["PyBaseExceptionGroupObject:excs"]),
    ("exc_exit_code", ["PySystemExitObject:code"]),
    ("exc_os_errno", ["PyOSErrorObject:myerrno", "PyEnvironmentErrorObject:myerrno"]),
    ("exc_os_strerror", ["PyOSErrorObject:strerror", "PyEnvironmentErrorObject:strerror"]),
    ("exc_os_filename", ["PyOSErrorObject:filename", "PyEnvironmentErrorObject:filename"]),
    ("exc_os_filename2", ["PyOSErrorObject:filename2"]),
    ("exc_import_message", ["PyImportErrorObject:msg"]),
    ("exc_syntax_message", ["PySyntaxErrorObject:msg"]),
    ("exc_syntax_file", ["PySyntaxErrorObject:filename"]),
    ("exc_syntax_line", ["PySyntaxErrorObject:lineno"]),
    ("exc_unicode_encoding", ["PyUnicodeErrorObject:encoding"]),
    ("exc_unicode_object", ["PyUnicodeErrorObject:object"]),
    ("exc_unicode_start", ["PyUnicodeErrorObject:start"]),
    ("exc_unicode_end", ["PyUnicodeErrorObject:end"]),
    ("exc_unicode_reason", ["PyUnicodeErrorObject:reason"]),
    ("tb_next", ["PyTracebackObject:tb_next", "PyTracebackObject2:tb_next"]),
    ("tb_frame", ["PyTracebackObject:tb_frame"]),
    ("tb_lasti", ["PyTracebackObject:tb_lasti"]),
    ("tb_lineno", ["PyTracebackObject:tb_lineno"]),
    ("cell_value", ["PyCellObject:ob_ref"]),
    ("gen_frame", ["PyGenObject:gi_frame"]),
    ("gen_iframe", ["PyGenObject:gi_iframe"]),
    ("gen_state", ["PyGenObject:gi_frame_state"]),
    ("gen_running", ["PyGenObject:gi_running"]),
    ("gen_code", ["PyGenObject:gi_code"]),
    ("gen_name", ["PyGenObject:gi_name"]),
    ("gen_qualname", ["PyGenObject:gi_qualname"]),
    ("coro_wrapper_coro", ["PyCoroWrapper:cw_coroutine"]),
    ("asend_gen", ["PyAsyncGenASend:ags_gen"]),
    ("athrow_gen", ["PyAsyncGenAThrow:agt_gen"]),
    ("anext_wrapped", ["anextawaitableobject:wrapped"]),
    ("function_code", ["PyFunctionObject:func_code"]),
    ("function_name", ["PyFunctionObject:func_name"]),
    ("function_qualname", ["PyFunctionObject:func_qualname"]),
    ("function_module", ["PyFunctionObject:func_module"]),
    ("function_closure", ["PyFunctionObject:func_closure"]),
    ("partial_function", ["partialobject:fn"]),
    ("partial_args", ["partialobject:args"]),
    ("method_function", ["PyMethodObject:im_func"]),
    ("method_self", ["PyMethodObject:im_self"]),
    ("builtin_self", ["PyCFunctionObject:m_self"]),
    ("module_dict", ["PyModuleObject:md_dict"]),
    ("weakref_object", ["PyWeakReference:wr_object"]),
    ("oldclass_name", ["PyClassObject:cl_name"]),
    ("oldinstance_class", ["PyInstanceObject:in_class"]),
    ("oldinstance_dict", ["PyInstanceObject:in_dict"]),
    ("llist_next", ["struct llist_node:next"]),
    ("fut_loop", ["FutureObj:fut_loop"]),
    ("fut_state", ["FutureObj:fut_state"]),
    ("fut_result", ["FutureObj:fut_result"]),
    ("fut_exception", ["FutureObj:fut_exception"]),
    ("fut_callback", ["FutureObj:fut_callback0"]),
    ("fut_callbacks", ["FutureObj:fut_callbacks"]),
    ("fut_awaited_by", ["FutureObj:fut_awaited_by"]),
    ("fut_awaited_by_is_set", ["FutureObj:fut_awaited_by_is_set"]),
    ("fut_is_task", ["FutureObj:fut_is_task"]),
    ("task_loop", ["TaskObj:task_loop"]),
    ("task_state", ["TaskObj:task_state"]),
    ("task_awaited_by", ["TaskObj:task_awaited_by"]),
    ("task_awaited_by_is_set", ["TaskObj:task_awaited_by_is_set"]),
    ("task_is_task", ["TaskObj:task_is_task"]),
    ("task_coro", ["TaskObj:task_coro"]),
    ("task_name", ["TaskObj:task_name"]),
    ("task_waiter", ["TaskObj:task_fut_waiter"]),
    ("task_node", ["TaskObj:task_node"]),
    ("futureiter_future", ["futureiterobject:future"]),
    ("stepwrapper_task", ["TaskStepMethWrapper:sw_task"]),
]

# The same fields within _Py_DebugOffsets, where the interpreter publishes them.
PUBLISHED = {
    "runtime_head": "runtime_state.interpreters_head",
    "runtime_finalizing": "runtime_state.finalizing",
    "interp_next": "interpreter_state.next",
    "interp_id": "interpreter_state.id",
    "interp_threads": "interpreter_state.threads_head",
    "interp_gc": "interpreter_state.gc",
    "interp_modules": "interpreter_state.imports_modules",
    "interp_sysdict": "interpreter_state.sysdict",
    "interp_builtins": "interpreter_state.builtins",
    "interp_gil": "interpreter_state.ceval_gil",
    "interp_own_gil": "interpreter_state.gil_runtime_state",
    "gil_holder": "interpreter_state.gil_runtime_state_holder",
    "gil_locked": "interpreter_state.gil_runtime_state_locked",
    "gil_enabled": "interpreter_state.gil_runtime_state_enabled",
    "gc_collecting": "gc.collecting",
    "tstate_next": "thread_state.next",
    "tstate_interp": "thread_state.interp",
    "tstate_frame": "thread_state.current_frame",
    "tstate_base_frame": "thread_state.base_frame",
    "tstate_thread_id": "thread_state.thread_id",
    "tstate_native_id": "thread_state.native_thread_id",
    "tstate_exception": "thread_state.current_exception",
    "tstate_handled_base": "thread_state.exc_state",
    "handled_value": "err_stackitem.exc_value",
    "frame_back": "interpreter_frame.previous",
    "frame_code": "interpreter_frame.executable",
    "frame_position": "interpreter_frame.instr_ptr",
    "frame_owner": "interpreter_frame.owner",
    "frame_fast": "interpreter_frame.localsplus",
    "frame_stack_top": "interpreter_frame.stackpointer",
    "frame_tlbc": "interpreter_frame.tlbc_index",
    "code_name": "code_object.name",
    "code_qualname": "code_object.qualname",
    "code_file": "code_object.filename",
    "code_firstline": "code_object.firstlineno",
    "code_lines": "code_object.linetable",
    "code_instructions": "code_object.co_code_adaptive",
    "code_tlbc": "code_object.co_tlbc",
    "code_argcount": "code_object.argcount",
    "code_localsplusnames": "code_object.localsplusnames",
    "code_localspluskinds": "code_object.localspluskinds",
    "object_header": "pyobject.size",
    "object_type": "pyobject.ob_type",
    "object_size": "bytes_object.ob_size",
    "type_name": "type_object.tp_name",
    "type_flags": "type_object.tp_flags",
    "type_basicsize": "type_object.tp_basicsize",
    "type_dictoffset": "type_object.tp_dictoffset",
    "type_cached_keys": "heap_type_object.ht_cached_keys",
    "bytes_data": "bytes_object.ob_sval",
    "str_length": "unicode_object.length",
    "str_state": "unicode_object.state",
    "str_ascii": "unicode_object.asciiobject_size",
    "str_compact": "unicode_object.compactunicodeobject_size",
    "long_tag": "long_object.lv_tag",
    "long_digits": "long_object.ob_digit",
    "float_value": "float_object.ob_fval",
    "tuple_items": "tuple_object.ob_item",
    "list_items": "list_object.ob_item",
    "set_used": "set_object.used",
    "set_mask": "set_object.mask",
    "set_table": "set_object.table",
    "dict_keys": "dict_object.ma_keys",
    "dict_values": "dict_object.ma_values",
    "gen_name": "gen_object.gi_name",
    "gen_iframe": "gen_object.gi_iframe",
    "gen_state": "gen_object.gi_frame_state",
    "llist_next": "llist_node.next",
}

# The same within what _asyncio publishes from 3.14 on.
PUBLISHED_ASYNCIO = {
    "interp_tasks": "asyncio_interpreter_state.asyncio_tasks_head",
    "tstate_loop": "asyncio_thread_state.asyncio_running_loop",
    "tstate_task": "asyncio_thread_state.asyncio_running_task",
    "tstate_tasks": "asyncio_thread_state.asyncio_tasks_head",
    "task_name": "asyncio_task_object.task_name",
    "task_awaited_by": "asyncio_task_object.task_awaited_by",
    "task_is_task": "asyncio_task_object.task_is_task",
    "task_awaited_by_is_set": "asyncio_task_object.task_awaited_by_is_set",
    "task_coro": "asyncio_task_object.task_coro",
    "task_node": "asyncio_task_object.task_node",
}

ASYNCIO = r"(fut|task|futureiter|stepwrapper|interp|tstate)_"

# Members of objects that only some .c file knows.
UNKNOWN = r"(fut|task|futureiter|stepwrapper|coro_wrapper|asend|athrow|anext|partial)_"

INSIDE_GDB = r'''
import gdb

def exists(name):
    try:
        return gdb.lookup_type(name) is not None
    except gdb.error:
        return False

def offset(where):
    if where.startswith("!!"):
        return None if exists(where[2:]) else "absent"
    if where.startswith("!"):
        return "absent" if exists(where[1:]) else None
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
for name, where in PUBLISHED_ASYNCIO.items():
    print("ASYNCIO", name, offset("Py_AsyncioModuleDebugOffsets:" + where))
'''

# What free-threaded interpreters have differently is in the headers of the others.
HEADERS = """
#define Py_BUILD_CORE 1
#include "pyconfig.h"
#undef Py_GIL_DISABLED
#define Py_GIL_DISABLED 1
#include "Python.h"
#include "internal/pycore_code.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_genobject.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_moduleobject.h"
#include "internal/pycore_runtime.h"
#include "internal/pycore_tstate.h"
"""


def ask(binary, debug_directory=None):
    """What BINARY knows: {"FIELD": {name: offset or None}, "PUBLISHED": ..., "ASYNCIO": ...}."""
    script = (f"FIELDS = {FIELDS!r}\nPUBLISHED = {PUBLISHED!r}\n"
              f"PUBLISHED_ASYNCIO = {PUBLISHED_ASYNCIO!r}\n{INSIDE_GDB}")
    where = ["-iex", f"set debug-file-directory {debug_directory}"] if debug_directory else []
    out = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set auto-load off", *where, "-ex",
                          "python exec(" + repr(script) + ")", binary],
                         capture_output=True, text=True, check=True).stdout
    rows = {"FIELD": {}, "PUBLISHED": {}, "ASYNCIO": {}}
    for line in out.splitlines():
        m = re.fullmatch(r"(FIELD|PUBLISHED|ASYNCIO) (\w+) (\d+|None)", line)
        if m:
            rows[m[1]][m[2]] = None if m[3] == "None" else int(m[3])
    return rows


def ask_headers(include):
    """The same, as a free-threaded interpreter with the headers in INCLUDE would have it."""
    with tempfile.TemporaryDirectory() as folder:
        source, binary = os.path.join(folder, "layout.c"), os.path.join(folder, "layout.o")
        with open(source, "w") as f:
            f.write(HEADERS)
        subprocess.run(["cc", "-g", "-fno-eliminate-unused-debug-types", "-c", "-I", include, "-I",
                        os.path.join(include, "internal"), "-idirafter", os.path.dirname(include),
                        "-o", binary, source], check=True)
        return ask(binary)


def asyncio_module(binary, major, minor):
    """The file of _asyncio that belongs to BINARY, None when there is none."""
    prefix = os.path.dirname(os.path.dirname(binary))
    found = glob.glob(os.path.join(prefix, f"lib/python{major}.{minor}/lib-dynload/_asyncio.*.so"))
    # Not that of a debug build.
    return next((f for f in sorted(found) if not re.search(r"-\d+d-", f)), None)


def emit(name, offsets):
    values = [f".{field} = {'PY_NONE' if offsets.get(field) is None else offsets[field]},"
              for field, _ in FIELDS]
    print(f"#define {name} {{{{ \\")
    for line in textwrap.wrap(" ".join(v.replace(" ", "~") for v in values), 86):
        print("\t" + line.replace("~", " ") + " \\")
    print("}}\n")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--debug-directory", help="where separate debug information is")
    options.add_argument("--free-threaded", action="append", default=[], metavar="INCLUDE")
    options.add_argument("binary", nargs="*")
    options = options.parse_args()
    binaries = options.binary or sorted(
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
    ordinary = {}
    for (major, minor), binary in sorted(seen.items()):
        rows = ask(binary, options.debug_directory)
        if rows["FIELD"].get("frame_code") is None:
            sys.exit(f"{binary}: no debug information")
        module = asyncio_module(binary, major, minor)
        if module:
            more = ask(module, options.debug_directory)
            rows["ASYNCIO"] = more["ASYNCIO"]
            for field, at in more["FIELD"].items():
                if rows["FIELD"][field] is None and re.match(ASYNCIO, field):
                    rows["FIELD"][field] = at
        emit(f"PY_OFFSETS_{major}_{minor}", rows["FIELD"])
        ordinary[major, minor] = rows["FIELD"]
        if rows["PUBLISHED"]["runtime_head"] is not None:
            emit(f"PY_PUBLISHED_{major}_{minor}", rows["PUBLISHED"])
        if rows["ASYNCIO"]["task_coro"] is not None:
            emit(f"PY_PUBLISHED_ASYNCIO_{major}_{minor}", rows["ASYNCIO"])
    for include in options.free_threaded:
        m = re.search(r"python(\d)\.(\d+)", include)
        offsets = ask_headers(include)["FIELD"]
        # Objects that no header knows: everything stands behind the head that each of them has.
        like = ordinary[int(m[1]), int(m[2])]
        longer = offsets["object_header"] - like["object_header"]
        for field, at in like.items():
            if at is not None and offsets[field] is None and re.match(UNKNOWN, field):
                offsets[field] = at + longer
        emit(f"PY_OFFSETS_{m[1]}_{m[2]}_FREE", offsets)
    print(f"#define PY_OFFSETS_IN_ROW {len(FIELDS)}")


main()
