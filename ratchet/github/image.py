"""A Bento as an image on GHCR: python3 -m ratchet.github.image

Builds the image once and pushes it under each tag; all tags have the same digest.
"""

import json
import os
import subprocess
from pathlib import Path

from ratchet.github.client import append_summary


def main() -> None:
    name = f"ghcr.io/{os.environ['GITHUB_REPOSITORY']}".lower()  # GHCR accepts no capitals
    images = [f"{name}:{tag}" for tag in os.environ["TAGS"].split()]
    options = [f"--image-tag={image}" for image in images]
    run("bentoml", "containerize", os.environ["BENTO"], *options)
    for image in images:
        run("docker", "push", image)
    digests = json.loads(
        run("docker", "image", "inspect", "--format={{json .RepoDigests}}", images[0])
    )
    digest = next(one for one in digests if one.startswith(f"{name}@")).split("@")[1]
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as outputs:
        outputs.write(f"name={name}\ndigest={digest}\n")
    append_summary("".join(f"`{image}`\n\n" for image in images) + f"`{digest}`")


def run(*command: str) -> str:
    print(*command, flush=True)
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
