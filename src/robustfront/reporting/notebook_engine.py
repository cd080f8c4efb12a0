"""Papermill's way to execute a notebook here: in this process, where what its cells import is imported once.

A kernel of its own is a second Python that imports everything again, and a process that a killed job would
leave behind. Cells see `__main__`, magics, `display` and inline figures as in Jupyter. What subprocesses
print goes where this process prints.
"""

import atexit
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from typing import Any

import matplotlib
import nbformat.v4 as nbformat
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from papermill.engines import Engine
from traitlets.config import Config

from robustfront.errors import Interrupted

NAME = "in this process"
INLINE = "module://matplotlib_inline.backend_inline"

# Without the command history, a database in the home folder that locks up on network file systems.
_CONFIG = Config({"HistoryManager": {"enabled": False}})


class InThisProcess(Engine):
    """Executes cell after cell up to the first one that fails, which gets an output of type `error`."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **_: Any) -> None:
        """Fills the outputs of `nb_man.nb`. Raises what ended the process, if a cell was at work then."""
        with _shell() as shell:
            for index, cell in enumerate(nb_man.nb.cells):
                if cell.cell_type != "code" or not cell.source.strip():
                    continue
                nb_man.cell_start(cell, index)
                cell.execution_count = shell.execution_count
                try:
                    if not shell.run(cell.source):
                        nb_man.cell_exception(cell, index)
                        break
                finally:
                    cell.outputs = shell.taken()
                    nb_man.cell_complete(cell, index)


class _Shell(InteractiveShell):
    """Collects in `outputs` what a cell shows, in order, as a notebook holds it."""

    def __init__(self, **arguments: Any) -> None:
        self.outputs: list[Any] = []
        super().__init__(displayhook_class=_Hook, display_pub_class=_Publisher, **arguments)

    def run(self, source: str) -> bool:
        """Runs a cell; whether it succeeded. Raises what ends this process, which IPython would only show."""
        with redirect_stdout(_Stream(self, "stdout")), redirect_stderr(_Stream(self, "stderr")):
            done = self.run_cell(source, store_history=True)
        error = done.error_before_exec or done.error_in_exec
        stopped = isinstance(error, SystemExit) and error.code == Interrupted.exit_code
        if error is not None and (stopped or isinstance(error, KeyboardInterrupt)):
            raise error
        return bool(done.success)

    def taken(self) -> list[Any]:
        """The outputs so far; from now on there are none."""
        found, self.outputs = self.outputs, []
        return found

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        self.outputs.append(
            nbformat.new_output("error", ename=etype.__name__, evalue=str(evalue), traceback=stb)
        )


class _Publisher(DisplayPublisher):
    """What `display` shows."""

    shell: _Shell

    def publish(self, data: Any, metadata: Any = None, *_: Any, **__: Any) -> None:
        output = nbformat.new_output("display_data", data=data, metadata=metadata or {})
        self.shell.outputs.append(output)


class _Hook(DisplayHook):
    """The value of a cell's last line."""

    shell: _Shell

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        output = nbformat.new_output(
            "execute_result", data=format_dict, metadata=md_dict or {}, execution_count=self.prompt_count
        )
        self.shell.outputs.append(output)

    def finish_displayhook(self) -> None:
        self._is_active = False


class _Stream(TextIOBase):
    """What is printed; in one output as long as nothing else comes between."""

    def __init__(self, shell: _Shell, name: str) -> None:
        self.shell, self.name = shell, name

    def write(self, text: str) -> int:
        last = self.shell.outputs[-1] if self.shell.outputs else {}
        if last.get("name") == self.name:
            last["text"] += text
        else:
            self.shell.outputs.append(nbformat.new_output("stream", name=self.name, text=text))
        return len(text)


@contextmanager
def _shell() -> Iterator[_Shell]:
    """A shell that is this process's meanwhile, with a `__main__` of its own; pyplot shows figures inline."""
    matplotlib.use(INLINE)
    with tempfile.TemporaryDirectory() as folder:
        shell = _Shell.instance(config=_CONFIG, ipython_dir=folder)
        try:
            yield shell
        finally:
            atexit.unregister(shell.atexit_operations)
            shell.atexit_operations()
            shell.restore_sys_module_state()
            _Shell.clear_instance()
