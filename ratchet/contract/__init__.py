"""The contract: rules that data have to keep before anything is trained on them."""
