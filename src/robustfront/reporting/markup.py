"""Templates of pages and tables. Imports no table, as it serves notebooks too."""

from functools import cache

import jinja2


@cache
def template(name: str) -> jinja2.Template:
    """A template of this package; values are escaped for HTML."""
    loader = jinja2.PackageLoader("robustfront.reporting")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)
