// Leases that were taken by hand in this tab. Only who has a lease's id can end it.

import { ofQueue, post } from "./api.js";
import { Signal } from "./signal.js";

// What the console calls itself, for those who look at a queue's consumers.
export const CONSUMER = "console";

// By message id: {queueId, leaseId, expiresAt, message}.
export const held = new Signal(new Map());

export async function lease(queueId, { count, duration }) {
  const { messages = [] } = await post(ofQueue(queueId, "/messages:lease"), {
    messages_max: count,
    lease_duration: duration,
    consumer: CONSUMER,
  });
  for (const each of messages) {
    held.value.set(each.message.meta.id, {
      queueId,
      leaseId: each.lease_id,
      expiresAt: each.lease_expires_at,
      message: each.message,
      deliveryCount: each.delivery_count,
    });
  }
  held.notify();
  return messages.length;
}

// Ends a lease: `verb` is ack or nack, `body` what the call says besides. Throws what q says of it.
export async function end(messageId, verb, body = {}) {
  const { queueId, leaseId } = held.value.get(messageId);
  const result = await about(queueId, leaseId, verb, body);
  held.value.delete(messageId);
  held.notify();
  return result;
}

export async function extend(messageId, duration) {
  const { queueId, leaseId } = held.value.get(messageId);
  const result = await about(queueId, leaseId, "extend", { lease_duration: duration });
  held.value.get(messageId).expiresAt = result.lease_expires_at;
  held.notify();
}

async function about(queueId, leaseId, verb, body) {
  const { results } = await post(ofQueue(queueId, `/leases:${verb}`), { lease_ids: [leaseId], ...body });
  if (results[0].code) throw new Error(results[0].message);
  return results[0];
}

export function forget(messageId) {
  held.value.delete(messageId);
  held.notify();
}
