"""The uploader, in a process that has imported the Hub's library with other settings."""

import importlib
import runpy

from huggingface_hub import constants

if __name__ == "__main__":
    importlib.reload(constants)  # it reads the environment
    runpy.run_module("arkor_dev.cli.commands.push.uploader", run_name="__main__", alter_sys=True)
