"""Write a static site about the model: python -m steps.site --folder site"""

import os
from pathlib import Path

from ratchet import entry


def main(folder: Path, server: str) -> None:
    from ratchet.registry.provenance import provenance
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect
    from ratchet.report import Report, markdown_table, print_table, write_report
    from ratchet.settings import read_settings
    from ratchet.site.reading import read_history
    from ratchet.site.writing import write_site

    settings = read_settings()
    client = connect()
    address = server or os.environ.get("MLFLOW_TRACKING_URI", "")
    history = read_history(client, Registry(client, settings.model), address)
    commit = provenance().commit[:12]
    size = write_site(folder, history, settings, f", at commit {commit}")
    row = {
        "versions": len(history.candidates),
        "moves": len(history.moves),
        "drift checks": len(history.checks),
        "reports": len(history.reports),
        "kilobytes": round(size / 1000),
    }
    text = f"## Site\n\n{markdown_table([row])}\n"
    write_report(Report("site", row, text, {"bytes": str(size)}))
    print_table([row])
    print(f"Open {folder / 'index.html'} in a browser.")


if __name__ == "__main__":
    entry.run(main)
