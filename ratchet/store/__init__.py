"""The MLflow store on a branch: take, lock, put back, and the way from there to a server."""
