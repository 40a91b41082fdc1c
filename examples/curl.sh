#!/usr/bin/env bash
# Publishes a job with curl, by Pub/Sub's REST interface: base64 of Customer.io's own request body.
#
# Against the local stack as it stands. For Google's Pub/Sub take https://pubsub.googleapis.com instead of the emulator's
# address, and add: -H "Authorization: Bearer $(gcloud auth print-access-token)"
set -euo pipefail

job='{"identifiers": {"id": "curl-1"}, "attributes": {"email": "curl@example.com", "plan": "pro"}}'

curl --fail --silent --show-error \
  -H "Content-Type: application/json" \
  -d "{\"messages\": [{\"data\": \"$(printf %s "$job" | base64 | tr -d '\n')\", \"orderingKey\": \"id:curl-1\"}]}" \
  "http://$PUBSUB_EMULATOR_HOST/v1/projects/$GOOGLE_CLOUD_PROJECT/topics/cio-identify:publish"
