"""The library behind the steps and the service. It imports neither of them."""
