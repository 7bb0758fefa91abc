from ratchet import entry
from steps.main import main

entry.run(main)
