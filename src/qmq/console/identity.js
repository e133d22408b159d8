// Who the reader is to q, and what that one may do: so that nothing is offered that q would refuse.
// Where nobody is asked, or q does not know the call, everything is offered, and q decides.

import { get, query } from "./api.js";
import { useEffect, useState } from "./html.js";
import { Signal, useSignal } from "./signal.js";

const NOT_FOUND = 404;
const NOT_IMPLEMENTED = 501;

/**
 * `asked`: whether q asks who calls; `name`, `proof`, `expiresAt`, `grants`, `limits`: what it says of
 * the reader; `everywhere`: the rights to every queue.
 * @typedef {{asked: boolean, name: string, proof: string, expiresAt: string, grants: any[], limits: any, everywhere: Set<string>}} Identity
 */

/** @type {Identity} */
const NOBODY = { asked: false, name: "", proof: "", expiresAt: "", grants: [], limits: null, everywhere: new Set() };

/** @type {Signal} */
export const identity = new Signal(NOBODY);

// Asks q who the reader is. Throws what any call may, but where q does not know this one.
export async function learn() {
  try {
    const reply = await get("v1/identity");
    identity.value = reply.asked
      ? {
          asked: true, name: reply.identity?.name ?? "", proof: reply.proof ?? "", expiresAt: reply.expires_at ?? "",
          grants: reply.identity?.rights ?? [], limits: reply.identity?.limits ?? null, everywhere: new Set(reply.rights ?? []),
        }
      : NOBODY;
  } catch (error) {
    if (error.status !== NOT_FOUND && error.status !== NOT_IMPLEMENTED) throw error;
    identity.value = NOBODY;
    // An older q: whether the token holds, any other call tells as well.
    await get("v1/queues?page_size=1");
  }
}

const LACKS = {
  PRODUCE: "You may not add messages here",
  CONSUME: "You may not take messages here",
  MANAGE: "You may not manage this queue",
};

// Returns a function that tells why the reader may not do what needs a right to a queue; "" if it
// may, or as long as nobody knows.
export function useLacks(queueId) {
  const who = useSignal(identity);
  const [rights, setRights] = useState(null);
  useEffect(() => {
    if (!who.asked || !queueId) return undefined;
    const ending = new AbortController();
    get(`v1/identity${query({ queue_id: queueId })}`, { signal: ending.signal })
      .then((reply) => setRights(new Set(reply.rights ?? [])))
      .catch(() => {});
    return () => ending.abort();
  }, [who, queueId]);
  return (...needed) => {
    const missing = who.asked && rights ? needed.find((right) => !rights.has(right)) : undefined;
    return missing ? LACKS[missing] : "";
  };
}

// Tells why the reader may make no queue at all; "" if it may make some.
export function lacksNewQueues(who) {
  const may = who.grants.some((grant) => (grant.may ?? []).some((right) => right === "MANAGE" || right === "ADMIN"));
  return who.asked && !may ? "You may not make queues" : "";
}

export const isAdmin = (who) => who.everywhere.has("ADMIN");
