# Settings of Sphinx. Version and place of Doxygen's XML come from build.py.
import dataclasses
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "apps/python"))

project = "Craftbundle"
copyright = "Craftbundle's authors, MIT licence"
extensions = ["myst_parser", "breathe", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
# As a code host shows them.
suppress_warnings = ["myst.header"]

breathe_projects = {"craftbundle": ""}
breathe_default_project = "craftbundle"
breathe_show_include = False
primary_domain = "cpp"
smartquotes = False
highlight_language = "none"
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
napoleon_use_ivar = True

html_theme = "furo"
html_title = "Craftbundle"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
# Those whose colours all have the contrast of WCAG AA.
pygments_style = "default"
pygments_dark_style = "github-dark"
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

# Types of others, and ours that no page shows.
nitpick_ignore_regex = [
    ("cpp:identifier", r"(std|boost|detail|craftbundle|audiocraft|network|limits)(::.*)?|.*_t"),
    ("cpp:identifier", r"ConfigNode|Impl|Iterator|PluginInfo|ReadFile|Stage(Output|Result)|Temporary(::.*)?"),
    ("std:ref", "namespacecraftbundle.*"),
    ("py:.*", r"(?!craftbundle\.).*"),
]


def show_code(app, what, name, obj, options, lines):
    """Examples in the docstring of a module are indented, nothing else."""
    if what == "module":
        text = re.sub(r"\n\n(?=    )", "\n\n.. code-block:: python\n\n", "\n".join(lines), count=1)
        lines[:] = text.split("\n")


def hide_constructor(app, what, name, obj, options, signature, result):
    """Calls make results, users do not."""
    return ("", None) if what == "class" and dataclasses.is_dataclass(obj) else None


def setup(app):
    app.connect("autodoc-process-docstring", show_code)
    app.connect("autodoc-process-signature", hide_constructor)
