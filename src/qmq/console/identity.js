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

// Returns a function that tells why the reader may not do to one of these queues what needs rights to
// it; "" if it may, or as long as nobody knows.
export function useLacksOf(queueIds) {
  const who = useSignal(identity);
  const [known, setKnown] = useState(new Map());
  const all = [...new Set(queueIds)].sort().join(" ");
  useEffect(() => {
    if (!who.asked || isAdmin(who) || !all) return undefined;
    const ending = new AbortController();
    learnRights(all.split(" "), ending.signal, (id, rights) => setKnown((old) => new Map(old).set(id, rights)));
    return () => ending.abort();
  }, [who, all]);
  return (queueId, ...needed) => {
    const rights = who.asked ? known.get(queueId) : undefined;
    const missing = rights && needed.find((right) => !rights.has(right));
    return missing ? LACKS[missing] : "";
  };
}

// One after the other: there may be hundreds, and each is a call that counts for the reader's limits.
async function learnRights(queueIds, signal, tell) {
  for (const id of queueIds) {
    try {
      const reply = await get(`v1/identity${query({ queue_id: id })}`, { signal });
      tell(id, new Set(reply.rights ?? []));
    } catch {
      // What is not known is told when it is tried.
      if (signal.aborted) return;
    }
  }
}

// The same of one queue.
export function useLacks(queueId) {
  const lacksOf = useLacksOf([queueId]);
  return (...needed) => lacksOf(queueId, ...needed);
}

// Tells why the reader may make no queue at all; "" if it may make some.
export function lacksNewQueues(who) {
  const may = who.grants.some((grant) => (grant.may ?? []).some((right) => right === "MANAGE" || right === "ADMIN"));
  return who.asked && !may ? "You may not make queues" : "";
}

export const isAdmin = (who) => who.everywhere.has("ADMIN");
