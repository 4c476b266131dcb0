-------------------------------- MODULE Gaps --------------------------------
(* SPDX-License-Identifier: PostgreSQL

   Which ids may be taken for rolled back (outbox.close_gaps, extension/id.c).
   An id that is taken for a gap is resolved for good: were its transaction
   still to commit, the message would be lost to a relay that reads the table,
   and taken for a repeat by one that reads the stream.

   A transaction takes its xid, then ids, then writes their rows, then ends.
   The relay notes the last id given out, then the next xid; once a snapshot's
   xmin has reached that, it takes for gaps the noted ids that it does not see. *)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Sessions,
  Ids,       \* ids in all: 1 .. Ids
  Xids,      \* transactions in all
  Off

VARIABLES last, next, xid, mine, cached, state, seen, noted, gaps
vars == <<last, next, xid, mine, cached, state, seen, noted, gaps>>

On(rule) == rule \notin Off
(* Rule noCache: a session takes one id at a time from the sequence, so none
   is used by a later transaction than the one that took it. *)
Cache == IF On("noCache") THEN 1 ELSE 2
Min(S) == CHOOSE x \in S : \A y \in S : x <= y
Max(S) == CHOOSE x \in S : \A y \in S : x >= y

(* last: of the sequence.  next: the xid that is given out next.  xid: of a
   session's transaction, 0 none.  mine: ids whose rows it has written.
   cached: ids it has taken and not used.  state: idle, open.  seen: ids that
   a new snapshot sees.  noted: <<id, xid>>, xid 0: nothing noted. *)
Init ==
  /\ last = 0 /\ next = 1 /\ xid = [s \in Sessions |-> 0]
  /\ mine = [s \in Sessions |-> {}] /\ cached = [s \in Sessions |-> {}]
  /\ state = [s \in Sessions |-> "idle"] /\ seen = {} /\ noted = <<0, 0>>
  /\ gaps = {}

Begin(s) ==
  /\ state[s] = "idle" /\ last < Ids
  /\ state' = [state EXCEPT ![s] = "open"]
  /\ UNCHANGED <<last, next, xid, mine, cached, seen, noted, gaps>>
(* GetTopTransactionId() *)
TakeXid(s) ==
  /\ state[s] = "open" /\ xid[s] = 0 /\ next <= Xids
  /\ xid' = [xid EXCEPT ![s] = next] /\ next' = next + 1
  /\ UNCHANGED <<last, mine, cached, state, seen, noted, gaps>>
(* nextval.  Rule xidFirst: the xid is there before the id. *)
TakeId(s) ==
  /\ state[s] = "open" /\ cached[s] = {} /\ last + Cache <= Ids
  /\ On("xidFirst") => xid[s] # 0
  /\ cached' = [cached EXCEPT ![s] = (last + 1)..(last + Cache)]
  /\ last' = last + Cache
  /\ UNCHANGED <<next, xid, mine, state, seen, noted, gaps>>
Insert(s) ==
  /\ state[s] = "open" /\ xid[s] # 0 /\ cached[s] # {}
  /\ LET id == Min(cached[s])
     IN /\ mine' = [mine EXCEPT ![s] = @ \cup {id}]
        /\ cached' = [cached EXCEPT ![s] = @ \ {id}]
  /\ UNCHANGED <<last, next, xid, state, seen, noted, gaps>>
End(s, committed) ==
  /\ state[s] = "open"
  /\ state' = [state EXCEPT ![s] = "idle"]
  /\ xid' = [xid EXCEPT ![s] = 0] /\ mine' = [mine EXCEPT ![s] = {}]
  \* an id taken and not used is lost, but for those of a cache
  /\ cached' = IF Cache = 1 THEN [cached EXCEPT ![s] = {}] ELSE cached
  /\ seen' = IF committed THEN seen \cup mine[s] ELSE seen
  /\ UNCHANGED <<last, next, noted, gaps>>

Open == {xid[s] : s \in {t \in Sessions : xid[t] # 0}}
Xmin == IF Open = {} THEN next ELSE Min(Open)
(* One past the last xid that has ended: what a snapshot has as its xmax. *)
Xmax == LET ended == {x \in 1..(next - 1) : x \notin Open}
        IN IF ended = {} THEN 1 ELSE Max(ended) + 1

(* Rule noteIdFirst: last_value, then outbox_next_xid(); rule nextXid: that,
   and not a snapshot's xmax.  With the order turned round others come in
   between. *)
NoteId ==
  /\ noted[2] = 0 /\ noted[1] = 0 /\ On("noteIdFirst") /\ last > 0
  /\ noted' = <<last, 0>>
  /\ UNCHANGED <<last, next, xid, mine, cached, state, seen, gaps>>
NoteXid ==
  /\ noted[2] = 0 /\ noted[1] # 0 /\ On("noteIdFirst")
  /\ noted' = <<noted[1], IF On("nextXid") THEN next ELSE Xmax>>
  /\ UNCHANGED <<last, next, xid, mine, cached, state, seen, gaps>>
NoteXidFirst ==
  /\ noted = <<0, 0>> /\ ~On("noteIdFirst") /\ noted' = <<0, next>>
  /\ UNCHANGED <<last, next, xid, mine, cached, state, seen, gaps>>
NoteIdThen ==
  /\ noted[1] = 0 /\ noted[2] # 0 /\ ~On("noteIdFirst") /\ last > 0
  /\ noted' = <<last, noted[2]>>
  /\ UNCHANGED <<last, next, xid, mine, cached, state, seen, gaps>>
CloseGaps ==
  /\ noted[1] # 0 /\ noted[2] # 0 /\ On("waitXmin") => noted[2] <= Xmin
  /\ noted[2] # 0
  /\ gaps' = gaps \cup ((1..noted[1]) \ seen) /\ noted' = <<0, 0>>
  /\ UNCHANGED <<last, next, xid, mine, cached, state, seen>>

Next ==
  \/ \E s \in Sessions : \/ Begin(s) \/ TakeXid(s) \/ TakeId(s) \/ Insert(s)
                         \/ End(s, TRUE) \/ End(s, FALSE)
  \/ NoteId \/ NoteXid \/ NoteXidFirst \/ NoteIdThen \/ CloseGaps
Spec == Init /\ [][Next]_vars

\* what was committed is in no gap
NoLoss == gaps \cap seen = {}
=============================================================================
