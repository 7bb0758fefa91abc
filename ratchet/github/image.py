"""A Bento as an image on GHCR: python3 -m ratchet.github.image

The image's tag is the Bento's digest and never changes: if the tag exists, nothing is built.
`prod`, and `staging` if the Bento holds a staging version, are moving tags of the newest image.
"""

import json
import os
import subprocess
from pathlib import Path

from ratchet.github.client import append_summary


def main() -> None:
    bento, versions = os.environ["BENTO"], os.environ["VERSIONS"]
    name = f"ghcr.io/{os.environ['GITHUB_REPOSITORY']}".lower()  # GHCR accepts no capitals
    image = f"{name}:{bento.split(':')[1]}"
    if not exists(image):
        run("bentoml", "containerize", bento, f"--image-tag={image}")
        run("docker", "push", image)
    moving = [f"{name}:prod"] + ([f"{name}:staging"] if "-" in versions else [])
    run("docker", "buildx", "imagetools", "create", *[f"--tag={one}" for one in moving], image)
    inspect = ("docker", "buildx", "imagetools", "inspect", "--format={{json .Manifest}}", image)
    digest = json.loads(run(*inspect))["digest"]
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as outputs:
        outputs.write(f"name={name}\ndigest={digest}\n")
    tags = "\n\n".join(f"`{one}`" for one in (image, *moving))
    append_summary(f"The image of {versions}:\n\n{tags}\n\n`{digest}`")


def exists(image: str) -> bool:
    command = ["docker", "manifest", "inspect", image]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def run(*command: str) -> str:
    print(*command, flush=True)
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
