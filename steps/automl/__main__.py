from ratchet import entry

from . import main

entry.run(main)
