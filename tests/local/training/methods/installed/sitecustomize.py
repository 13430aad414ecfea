"""Adds the methods beside this file to the package's own, in each process with this folder on its path."""

from pathlib import Path

import arkor_dev.local.training.methods as package

package.__path__.append(str(Path(__file__).with_name("methods")))
