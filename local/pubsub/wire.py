"""The raw protobuf classes behind ``google.pubsub_v1``, which cost less than its wrappers and need no .proto files."""

from typing import Any

from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from google.pubsub_v1 import types

type Pb = Any
"""A raw protobuf message. Its class is made at run time, so a type checker does not know its fields."""

type PbClass = Any
"""The class of a raw protobuf message."""

Topic: PbClass = types.Topic.pb()
Subscription: PbClass = types.Subscription.pb()
PushConfig: PbClass = types.PushConfig.pb()
PubsubMessage: PbClass = types.PubsubMessage.pb()
ReceivedMessage: PbClass = types.ReceivedMessage.pb()

PublishRequest: PbClass = types.PublishRequest.pb()
PublishResponse: PbClass = types.PublishResponse.pb()
UpdateTopicRequest: PbClass = types.UpdateTopicRequest.pb()
GetTopicRequest: PbClass = types.GetTopicRequest.pb()
DeleteTopicRequest: PbClass = types.DeleteTopicRequest.pb()
ListTopicsRequest: PbClass = types.ListTopicsRequest.pb()
ListTopicsResponse: PbClass = types.ListTopicsResponse.pb()
ListTopicSubscriptionsRequest: PbClass = types.ListTopicSubscriptionsRequest.pb()
ListTopicSubscriptionsResponse: PbClass = types.ListTopicSubscriptionsResponse.pb()

UpdateSubscriptionRequest: PbClass = types.UpdateSubscriptionRequest.pb()
GetSubscriptionRequest: PbClass = types.GetSubscriptionRequest.pb()
DeleteSubscriptionRequest: PbClass = types.DeleteSubscriptionRequest.pb()
ListSubscriptionsRequest: PbClass = types.ListSubscriptionsRequest.pb()
ListSubscriptionsResponse: PbClass = types.ListSubscriptionsResponse.pb()
ModifyPushConfigRequest: PbClass = types.ModifyPushConfigRequest.pb()
PullRequest: PbClass = types.PullRequest.pb()
PullResponse: PbClass = types.PullResponse.pb()
StreamingPullRequest: PbClass = types.StreamingPullRequest.pb()
StreamingPullResponse: PbClass = types.StreamingPullResponse.pb()
AcknowledgeRequest: PbClass = types.AcknowledgeRequest.pb()
ModifyAckDeadlineRequest: PbClass = types.ModifyAckDeadlineRequest.pb()
SeekRequest: PbClass = types.SeekRequest.pb()
SeekResponse: PbClass = types.SeekResponse.pb()

Empty: PbClass = empty_pb2.Empty


def seconds(duration: Pb) -> float:
    """Convert a protobuf ``Duration`` to seconds."""
    return float(duration.seconds + duration.nanos / 1e9)
