"""Where the packaged Jinja2 texts are, and how they are loaded.

What this module decides: an installed pkiops has its templates inside the package, a source tree has them beside it; a name that a template uses and
nobody gave is an error, never an empty text; nothing is escaped here, because each template knows what its format needs. Templates are part of
pkiops; a text of the user's own, and the texts of targets, are rendered by ``template_sandbox.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.errors import InternalError

if TYPE_CHECKING:
    import jinja2


def template_root() -> Path:
    """The folder of the templates.

    Raises:
        InternalError: this installation has none.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "templates", package.parent / "templates"):
        if folder.is_dir():
            return folder
    raise InternalError("this installation of pkiops has no templates", hint="install pkiops again")


def load_template(name: str) -> jinja2.Template:
    """A template by its path below the root, ``environment/environment.yaml.j2``.

    Raises:
        InternalError: there is no such template.
    """
    import jinja2

    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_root()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML; HTML templates escape by themselves
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return engine.get_template(name)
    except jinja2.TemplateNotFound as error:
        raise InternalError(f"template {name} is missing", hint="install pkiops again") from error
