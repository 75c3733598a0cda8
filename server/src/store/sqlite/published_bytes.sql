-- What an account has published is added up from this index alone, whatever the manifests beside it are like.
CREATE INDEX resources_by_size ON resources (publisher, size);
