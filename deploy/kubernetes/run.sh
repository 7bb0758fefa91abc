# MLflow hands a job's words over as a shell would need them, '' and 's3://a/*' with their quotes,
# and no shell reads them. This one does.
eval exec "$@"
