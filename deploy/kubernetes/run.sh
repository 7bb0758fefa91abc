# MLflow quotes a job's arguments for a shell ('' and 's3://a/*'), but Kubernetes starts no shell.
# This script evaluates the quotes.
eval exec "$@"
