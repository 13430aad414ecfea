"""Adds the methods beside this file to the packages' own, in each process with this folder on its path."""

from pathlib import Path

import arkor_dev.data.methods as records
import arkor_dev.local.training.methods as package

records.__path__.append(str(Path(__file__).with_name("records")))
package.__path__.append(str(Path(__file__).with_name("methods")))
