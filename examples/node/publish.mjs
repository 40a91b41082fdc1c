// Publishes jobs from Node with Google's Pub/Sub client: npm install && node publish.mjs
//
// A message's data is Customer.io's own request body; its attributes are ours (docs/jobs.md).
import { PubSub } from "@google-cloud/pubsub";

const pubsub = new PubSub({ projectId: process.env.GOOGLE_CLOUD_PROJECT });

// People are ordered: the key names the person.
await pubsub.topic("cio-identify", { messageOrdering: true }).publishMessage({
  json: { identifiers: { id: "node-1" }, attributes: { email: "node@example.com", plan: "pro" } },
  orderingKey: "id:node-1",
});

await pubsub.topic("cio-track").publishMessage({
  json: { identifiers: { id: "node-1" }, name: "order_placed", attributes: { total: 3 } },
  // The same id is the same job, however often it is published.
  attributes: { job_id: "order-placed-1" },
});

await pubsub.close();
