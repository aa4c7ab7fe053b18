"""Hook of mkdocs: README, CHANGELOG, cards and CONTRIBUTING lie outside of docs/ and are pages of the site, too."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
CARD = "modeling_mlnet/checkpoints/mlnet-mini"
PAGES = {  # path in the repository: path in the site
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "demo/README.md": "demo.md",
    f"{CARD}/README.md": "mlnet-mini/README.md",
}
LICENCES = ("LICENSE", "CITATION.cff")
LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)\s#]+)")


def site_path(path: str) -> str:
    """Where a file of the repository lies in the site."""
    path = PAGES.get(path, path)
    return path.removeprefix("docs/").replace(f"{CARD}/", "mlnet-mini/")


def rewrite_links(markdown: str, source: str) -> str:
    """Links between files of the repository, as links between pages of the site.

    Args:
        markdown: The text of a page.
        source: Its path in the repository.
    """
    page = Path(site_path(source)).parent

    def rewrite(match: re.Match[str]) -> str:
        target = ((ROOT / source).parent / match[2]).resolve()
        if target.is_dir():
            target /= "README.md"
        inside = Path(site_path(str(target.relative_to(ROOT))))
        return match[1] + "../" * len(page.parts) + inside.as_posix()

    return LINK.sub(rewrite, markdown)


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages and images that lie outside of docs/."""
    for source, path in PAGES.items():
        text = re.sub(r"\A---\n.*?\n---\n", "", (ROOT / source).read_text(encoding="utf-8"), flags=re.DOTALL)
        files.append(File.generated(config, path, content=rewrite_links(text, source)))
    for image in sorted((ROOT / CARD / "images").iterdir()):
        files.append(File.generated(config, f"mlnet-mini/images/{image.name}", abs_src_path=str(image)))
    for name in LICENCES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrites the links of a page of docs/ to files outside of it."""
    generated = page.file.src_uri in PAGES.values()
    return markdown if generated else rewrite_links(markdown, f"docs/{page.file.src_uri}")
