------------------------------- MODULE Outbox -------------------------------
(* SPDX-License-Identifier: PostgreSQL

   The protocol between outbox.message, the slot, the relay and
   outbox_settle(), see doc/protocol.md.  README.md says what stands for what.

   A message is named by its commit position: 1 is the first commit in the
   WAL, n the last so far.  Durable are the WAL (n), what a snapshot sees
   (visible), the slot, and db, what settle wrote.  A crash forgets relay[i].
   Each rule has a name and can be switched off (Off); what then breaks is
   what rules.txt says. *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  N,           \* messages
  KeyOf(_),    \* the ordering key of a message
  Routes, Relays,
  Window,      \* items in a lane; one more and it goes to BACKLOG
  PourIds,     \* recovered messages that one settle takes over
  OnDead,      \* "skip" or "block"
  Sync,        \* TRUE: a commit can be in the WAL and not yet visible
  Serial,      \* TRUE: the application serialises the transactions of a key
  Async,       \* TRUE: a settle takes time, other things happen meanwhile
  TableMode,   \* TRUE: the relay may work from the table without a slot
  Cap,         \* TRUE: a hold may be given up before the wait is over
  Faults, MaxFaults, MaxFails, Off

VARIABLES n, visible, slot, db, prev, late, lease, relay, sent, excused,
          faults, fails
vars == <<n, visible, slot, db, prev, late, lease, relay, sent, excused,
          faults, fails>>
\* what a step of the relay alone leaves as it is
stable == <<n, visible, slot, db, prev, late, lease, excused, faults>>

Ids == 1..N
On(rule) == rule \notin Off
Min(a, b) == IF a < b THEN a ELSE b
Set(s) == {s[i] : i \in 1..Len(s)}
Without(s, S) == SelectSeq(s, LAMBDA x : x \notin S)
Least(S) == CHOOSE x \in S : \A y \in S : x <= y
RECURSIVE Sorted(_)
Sorted(S) == IF S = {} THEN <<>>
             ELSE <<Least(S)>> \o Sorted(S \ {Least(S)})
SameKey(a, b) == KeyOf(a) = KeyOf(b)
\* parked rows: message -> "-" (none), NEW, FAILED, DEAD, CANCELLED
NoRow == [m \in Ids |-> "-"]
NoPos == [m \in Ids |-> 0]
Rows(p) == {m \in Ids : p[m] # "-"}

(* ---------- what a relay has in memory ---------- *)

(* Route.  lane: open messages in STREAM mode, a window on the backlog's head
   in BACKLOG mode; inflight: with the sink.  Facts not yet in a settle: done
   (delivered), parks, tail (the backlog's end that is not written).  backlog,
   rows, pos: what is written of them as the relay knows it.  had: unresolved
   messages that had a row on this route at the start. *)
Route(backlog, rows, had, pos) ==
  [mode |-> "BACKLOG", lane |-> <<>>, inflight |-> {}, done |-> {},
   parks |-> NoRow, tail |-> <<>>, backlog |-> backlog, rows |-> rows,
   had |-> had, pos |-> pos]

(* Engine.  start, passed: where the stream began and is.  open: taken from
   the stream and not resolved.  unresolved, resolved, horizon: U, R, L.  xid:
   what outbox_next_xid() said, N + 1: not asked yet.  pour: recovered, on its
   way to the tails.  deferred: of the stream, resolved, to be said when the
   pour has ended.  settling: the settle that is out. *)
Down == [up |-> FALSE, epoch |-> 0, phase |-> "RUN", hold |-> FALSE,
         gap |-> FALSE, early |-> FALSE, start |-> 0, passed |-> 0, xid |-> 0, horizon |-> 0,
         unresolved |-> {}, resolved |-> {}, open |-> {}, pour |-> <<>>,
         deferred |-> {}, settling |-> <<>>,
         routes |-> [r \in Routes |-> Route(<<>>, NoRow, {}, NoPos)]]

NoDb == [resolved |-> {}, backlog |-> [r \in Routes |-> <<>>],
         parked |-> [r \in Routes |-> NoRow],
         pos |-> [r \in Routes |-> NoPos], P |-> 0, epoch |-> 0]

Init ==
  /\ n = 0 /\ visible = {} /\ slot = [ok |-> TRUE, confirmed |-> 0, saved |-> 0]
  /\ db = NoDb /\ prev = NoDb /\ late = <<>> /\ lease = 0
  /\ relay = [i \in Relays |-> Down]
  /\ sent = [r \in Routes |-> [m \in Ids |-> 0]]
  /\ excused = {} /\ faults = 0 /\ fails = 0

(* ---------- application ---------- *)

Commit ==
  /\ n < N /\ n' = n + 1
  /\ Serial => \A m \in 1..n : SameKey(m, n + 1) => m \in visible
  /\ visible' = IF Sync THEN visible ELSE visible \cup {n + 1}
  /\ UNCHANGED <<slot, db, prev, late, lease, relay, sent, excused, faults,
                 fails>>
Visible ==
  /\ \E m \in (1..n) \ visible : visible' = visible \cup {m}
  /\ UNCHANGED <<n, slot, db, prev, late, lease, relay, sent, excused, faults,
                 fails>>

(* ---------- settle, one transaction ---------- *)

(* It says only what it adds: resolved ids, segments (tail), what was
   delivered (done: leaves backlog and parked), parked rows, P. *)
Apply(d, s) ==
  [d EXCEPT
    !.resolved = @ \cup s.resolved,
    !.P = IF s.P > @ THEN s.P ELSE @,
    !.backlog = [r \in Routes |->
      Without(d.backlog[r] \o s.tail[r], s.done[r] \cup Rows(s.parks[r]))],
    !.parked = [r \in Routes |-> [m \in Ids |->
      IF m \in s.done[r] THEN "-"
      ELSE IF s.parks[r][m] # "-" THEN s.parks[r][m] ELSE @[r][m]]],
    !.pos = [r \in Routes |-> [m \in Ids |->
      IF m \in Set(s.tail[r]) \cup Rows(s.parks[r])
      THEN s.pos[r][m] ELSE @[r][m]]]]
Allowed(s) == s.epoch = db.epoch \/ ~On("fence")
Write(s) ==
  /\ db' = Apply(db, s)
  /\ prev' = IF "ahead" \in Faults THEN db ELSE prev
  /\ excused' = IF OnDead # "skip" THEN excused
                ELSE excused \cup {<<m, r>> \in Ids \X Routes :
                                     db'.parked[r][m] = "DEAD"}

(* route_flush: the tail of what the stream brought is written only when the
   pour has ended, so that what was recovered stands before it. *)
Flush(w, r, poured, whole) ==
  LET q == w.routes[r] IN
  Without(poured, q.had) \o (IF whole THEN q.tail ELSE <<>>)
\* what the relay takes for written when the settle goes out
Settled(q, written, whole, left, pos) ==
  [q EXCEPT
    !.tail = IF whole THEN <<>> ELSE @,
    !.parks = NoRow,
    !.done = @ \cap left,
    !.pos = pos,
    !.backlog = Without(@ \o written, q.done \cup Rows(q.parks)),
    !.rows = [m \in Ids |-> IF m \in q.done THEN "-"
              ELSE IF q.parks[m] # "-" THEN q.parks[m] ELSE @[m]]]
(* pos of what was read from the table lies below pos of what the stream
   brought in the same run.  (Kept only where it matters.) *)
TablePos(w, m) == IF ~TableMode THEN 0
  ELSE IF On("pos") THEN w.epoch * 2 * N + m ELSE n * (N + 1) + m
StreamPos(w, m) == IF ~TableMode THEN 0
  ELSE IF On("pos") THEN w.epoch * 2 * N + N + m ELSE m * (N + 1)
Before(q, a, b) == IF TableMode THEN q.pos[a] <= q.pos[b] ELSE a <= b

Settle(i) ==
  LET w == relay[i]
      room == Min(PourIds, Len(w.pour))
      poured == SubSeq(w.pour, 1, room)              \* intake_pour
      pour == SubSeq(w.pour, room + 1, Len(w.pour))
      whole == pour = <<>> \/ ~On("pour")            \* recovering == 0
      pos(r) == [m \in Ids |-> IF m \in Set(poured) \ w.routes[r].had
                 THEN TablePos(w, m) ELSE w.routes[r].pos[m]]
      placed(q) == q.done \cup Set(q.tail) \cup Set(q.backlog)
                   \cup Rows(q.parks) \cup Rows(q.rows) \cup q.had
      all == {m \in w.open : \A r \in Routes : m \in placed(w.routes[r])}
      res == all \cup w.deferred
      now == IF pour = <<>> \/ ~On("defer") THEN res ELSE {}
      left == w.open \ all
      raise == w.phase = "RUN" /\ pour = <<>>        \* position_to_record
      s == [epoch |-> w.epoch, resolved |-> now \cup Set(poured),
            P |-> IF w.phase = "TABLE" \/ (On("keepP") /\ ~raise) THEN 0
                  ELSE IF left = {} THEN w.passed ELSE Least(left) - 1,
            tail |-> [r \in Routes |-> Flush(w, r, poured, whole)],
            done |-> [r \in Routes |-> w.routes[r].done],
            parks |-> [r \in Routes |-> w.routes[r].parks],
            pos |-> [r \in Routes |-> pos(r)]]
      w1 == [w EXCEPT !.open = left, !.pour = pour, !.deferred = res \ now,
              !.routes = [r \in Routes |->
                Settled(w.routes[r], Flush(w, r, poured, whole), whole, left,
                        pos(r))]]
  IN /\ w.up /\ ~w.hold /\ w.settling = <<>>
     /\ Apply(db, s) # db \/ room > 0
     /\ IF Async
        THEN /\ relay' = [relay EXCEPT ![i] = [w1 EXCEPT !.settling = <<s>>]]
             /\ UNCHANGED <<db, prev, excused>>
        ELSE Allowed(s) /\ Write(s) /\ relay' = [relay EXCEPT ![i] = w1]
     /\ UNCHANGED <<n, visible, slot, late, lease, sent, faults, fails>>
Answered(i) ==
  /\ relay[i].settling # <<>> /\ Allowed(relay[i].settling[1])
  /\ Write(relay[i].settling[1])
  /\ relay' = [relay EXCEPT ![i].settling = <<>>]
  /\ UNCHANGED <<n, visible, slot, late, lease, sent, faults, fails>>
\* its relay is gone or has given it up
Late ==
  /\ late # <<>> /\ Allowed(late[1]) /\ Write(late[1]) /\ late' = <<>>
  /\ UNCHANGED <<n, visible, slot, lease, relay, sent, faults, fails>>

Confirm(i) ==
  /\ lease = i /\ slot.ok /\ relay[i].phase = "RUN"
  /\ slot.confirmed < db.P /\ slot' = [slot EXCEPT !.confirmed = db.P]
  /\ UNCHANGED <<n, visible, db, prev, late, lease, relay, sent, excused,
                 faults, fails>>
Checkpoint ==
  /\ "server" \in Faults /\ slot.saved # slot.confirmed
  /\ slot' = [slot EXCEPT !.saved = slot.confirmed]
  /\ UNCHANGED <<n, visible, db, prev, late, lease, relay, sent, excused,
                 faults, fails>>

(* ---------- reconcile ---------- *)

(* The routes that outbox_unresolved() leaves out of an unresolved message.
   It tells only of messages that its snapshot sees. *)
Had(d, r) ==
  IF ~On("perRoute") THEN {}
  ELSE ((Set(d.backlog[r]) \cup Rows(d.parked[r])) \ d.resolved) \cap visible

(* engine_begin_stream, and the first reading of R, U and L.  gap: the slot
   begins past P, so the stream may lack messages: hold, and U counts only
   when it is read after the wait. *)
BeginAt(w, d) ==
  LET gap == slot.confirmed > d.P /\ On("hold") IN
  [w EXCEPT !.phase = IF gap THEN "WAIT" ELSE "PASS", !.hold = gap,
     !.gap = gap,
     !.start = slot.confirmed, !.passed = slot.confirmed,
     !.xid = IF gap THEN N + 1 ELSE 0,
     !.resolved = d.resolved \cup w.open \cup Set(w.pour),
     !.unresolved = IF gap THEN {} ELSE visible \ d.resolved,
     !.horizon = IF gap THEN 0 ELSE n,
     !.routes = [r \in Routes |-> [w.routes[r] EXCEPT !.had = Had(d, r)]]]

(* Lease taken, epoch raised (which waits for the settles under way), rows and
   backlogs read; then the stream, or the table while there is no slot. *)
Start(i) ==
  /\ lease = 0 /\ ~relay[i].up /\ (slot.ok \/ TableMode) /\ lease' = i
  /\ LET epoch == IF On("raise") THEN db.epoch + 1 ELSE db.epoch
         w == [Down EXCEPT !.up = TRUE, !.epoch = epoch, !.phase = "TABLE",
                 !.routes = [r \in Routes |-> Route(db.backlog[r],
                               db.parked[r], Had(db, r), db.pos[r])]]
     IN /\ db' = [db EXCEPT !.epoch = epoch]
        /\ relay' = [relay EXCEPT ![i] =
             IF slot.ok THEN BeginAt(w, db) ELSE w]
  /\ UNCHANGED <<n, visible, slot, prev, late, sent, excused, faults, fails>>

(* Without a slot: the table again and again, when what was read before is
   settled; then the stream. *)
Recovered(w) ==       \* engine_may_begin_stream
  w.pour = <<>> /\ w.settling = <<>>
ReadTable(i) ==
  /\ lease = i /\ relay[i].phase = "TABLE" /\ Recovered(relay[i])
  /\ LET rec == visible \ db.resolved
     IN rec # {} /\ relay' = [relay EXCEPT ![i].pour = Sorted(rec)]
  /\ UNCHANGED <<stable, sent, fails>>
MakeSlot ==
  /\ ~slot.ok /\ slot' = [ok |-> TRUE, confirmed |-> n, saved |-> n]
  /\ UNCHANGED <<n, visible, db, prev, late, lease, relay, sent, excused,
                 faults, fails>>
BeginStream(i) ==
  /\ lease = i /\ relay[i].phase = "TABLE" /\ slot.ok
  /\ On("settleFirst") => Recovered(relay[i])
  /\ relay' = [relay EXCEPT ![i] = BeginAt(@, db)]
  /\ UNCHANGED <<stable, sent, fails>>

(* Rule wait: what is noted covers every transaction that has begun; all of
   them have ended when a snapshot's xmin has reached it. *)
NextXid(i) ==
  /\ lease = i /\ relay[i].phase = "WAIT" /\ relay[i].xid = N + 1
  /\ relay' = [relay EXCEPT ![i].xid = n]
  /\ UNCHANGED <<stable, sent, fails>>
ReadU(i) ==
  LET w == relay[i] IN
  /\ lease = i /\ w.phase = "WAIT" /\ w.xid # N + 1
  /\ w.hold \/ Recovered(w)
  /\ On("wait") => 1..w.xid \subseteq visible
  /\ relay' = [relay EXCEPT ![i].phase = "PASS",
                 ![i].unresolved = visible \ db.resolved,
                 ![i].horizon = IF On("Lafter") THEN n ELSE w.xid]
  /\ UNCHANGED <<stable, sent, fails>>
(* reconcile_wait is over: go on, read U once more after the wait; until then
   P stays, and order is not promised. *)
GiveUp(i) ==
  LET w == relay[i] IN
  /\ Cap /\ lease = i /\ w.phase = "WAIT" /\ w.hold /\ w.xid # N + 1
  /\ relay' = [relay EXCEPT ![i].phase = "PASS", ![i].early = TRUE,
                 ![i].unresolved = visible \ db.resolved, ![i].horizon = n]
  /\ UNCHANGED <<stable, sent, fails>>

\* all open messages go, in order, to the tail; those under way stay in the lane
ToBacklog(q) ==
  IF q.mode = "BACKLOG" THEN q
  ELSE [q EXCEPT !.mode = "BACKLOG",
          !.tail = IF On("moveLane") THEN q.lane ELSE <<>>,
          !.lane = IF On("moveLane")
                   THEN SelectSeq(@, LAMBDA x : x \in q.inflight) ELSE @]

(* reconcile_passed: the stream has passed L.  What is in U and was not seen
   is recovered. *)
PassL(i) ==
  LET w == relay[i]
      seen == (w.start + 1)..w.passed
      rec == (w.unresolved \ seen) \ (w.open \cup Set(w.pour))
  IN
  /\ lease = i /\ w.phase = "PASS" /\ w.passed >= w.horizon
  /\ Recovered(w) \/ w.hold
  /\ relay' = [relay EXCEPT ![i] =
       [w EXCEPT !.pour = Sorted(rec), !.hold = FALSE, !.early = FALSE,
          !.gap = w.early,
          !.phase = IF w.early THEN "WAIT" ELSE "RUN",
          !.horizon = 0, !.unresolved = {},
          !.resolved = IF w.early THEN @ ELSE {},
          !.start = IF w.early THEN @ ELSE 0,
          !.xid = IF w.early THEN @ ELSE 0,
          !.routes = [r \in Routes |->
            IF rec \ w.routes[r].had = {} THEN w.routes[r]
            ELSE ToBacklog(w.routes[r])]]]
  /\ UNCHANGED <<stable, sent, fails>>

(* ---------- stream, lanes, sinks ---------- *)

(* route_take *)
Take(w, q, m) ==
  LET q1 == [q EXCEPT !.pos[m] = StreamPos(w, m)]
      q2 == IF Len(q.lane) >= Window THEN ToBacklog(q1) ELSE q1
  IN IF m \in q.had THEN q
     ELSE IF q2.mode = "BACKLOG" THEN [q2 EXCEPT !.tail = Append(@, m)]
     ELSE [q2 EXCEPT !.lane = Append(@, m)]
(* While what was recovered is on its way, the stream is held up
   (intake_wants_pause). *)
Read(i) ==
  LET w == relay[i]
      m == w.passed + 1
  IN
  /\ lease = i /\ w.phase # "TABLE" /\ w.passed < n /\ w.pour = <<>>
  /\ relay' = [relay EXCEPT ![i] =
       IF w.phase # "RUN" /\ m \in w.resolved
       THEN [w EXCEPT !.passed = m]                        \* a repeat
       ELSE [w EXCEPT !.passed = m, !.open = @ \cup {m},
               !.routes = [r \in Routes |-> Take(w, w.routes[r], m)]]]
  /\ UNCHANGED <<stable, sent, fails>>

Keep(i, r, q) == relay' = [relay EXCEPT ![i].routes[r] = q]

(* What holds back the later messages of its key: waiting rows, those not yet
   settled, and a DEAD one until that is durable. *)
Out(w, r) == IF w.settling = <<>> THEN NoRow ELSE w.settling[1].parks[r]
Waiting(q) ==
  {m \in Rows(q.rows) \ q.done : q.rows[m] \in {"NEW", "FAILED"}
     \/ (q.rows[m] = "DEAD" /\ OnDead = "block")}
  \cup {m \in Rows(q.parks) : q.parks[m] # "DEAD"}
DeadPending(w, r) ==
  IF ~On("deadDurable") THEN {}
  ELSE {m \in Ids : w.routes[r].parks[m] = "DEAD" \/ Out(w, r)[m] = "DEAD"}
Clear(S, m) == \A x \in S : ~SameKey(x, m)
First(q, m) == \A a, b \in 1..Len(q.lane) :
                 (q.lane[b] = m /\ a < b) => ~SameKey(q.lane[a], m)

Send(i, r) ==
  LET w == relay[i]  q == w.routes[r] IN
  /\ w.up /\ ~w.hold
  /\ \E m \in Set(q.lane) \ (q.inflight \cup q.done) :
       /\ First(q, m)
       /\ Clear(q.inflight \cup Waiting(q) \cup DeadPending(w, r), m)
       /\ Keep(i, r, [q EXCEPT !.inflight = @ \cup {m}])
  /\ UNCHANGED <<stable, sent, fails>>
(* park_run: only the first row of a key, when the settle that says so is
   committed and nothing of the key is under way. *)
Retry(i, r) ==
  LET w == relay[i]  q == w.routes[r] IN
  /\ w.up /\ ~w.hold
  /\ \E m \in Waiting(q) \ (q.inflight \cup Rows(q.parks)) :
       /\ q.rows[m] # "DEAD" /\ Out(w, r)[m] = "-"
       /\ Clear(q.inflight \cup DeadPending(w, r), m)
       /\ \A x \in Waiting(q) : SameKey(x, m) => Before(q, m, x)
       /\ Keep(i, r, [q EXCEPT !.inflight = @ \cup {m}])
  /\ UNCHANGED <<stable, sent, fails>>
(* park_followers: behind a waiting row, in order, when nothing of the key is
   under way. *)
Follow(i, r) ==
  LET w == relay[i]  q == w.routes[r] IN
  /\ w.up /\ ~w.hold
  /\ \E m \in Set(q.lane) \ (q.inflight \cup q.done) :
       /\ First(q, m) /\ Clear(q.inflight, m) /\ ~Clear(Waiting(q), m)
       /\ Keep(i, r, [q EXCEPT !.lane = Without(@, {m}), !.parks[m] = "NEW"])
  /\ UNCHANGED <<stable, sent, fails>>
(* The route is not able: no attempt is used up, the message keeps its place,
   the lane goes to the backlog, and what stands there anyway leaves memory. *)
NotAble(q, m) ==
  LET q1 == ToBacklog(q)
      under == q.inflight \ {m}
  IN [q1 EXCEPT !.inflight = under,
        !.lane = SelectSeq(@, LAMBDA x : x \in under
                                         \/ x \notin Set(q.backlog))]
Answer(i, r) ==
  LET q == relay[i].routes[r] IN
  /\ relay[i].up
  /\ \E m \in q.inflight :
       LET q1 == [q EXCEPT !.inflight = @ \ {m}, !.lane = Without(@, {m}),
                           !.tail = Without(@, {m})] IN
       \/ /\ sent' = [sent EXCEPT ![r][m] = @ + 1] /\ fails' = fails
          /\ Keep(i, r, [q1 EXCEPT !.done = @ \cup {m}])
       \/ /\ fails < MaxFails /\ fails' = fails + 1 /\ sent' = sent
          /\ \/ \E status \in {"FAILED", "DEAD"} :
                  Keep(i, r, [q1 EXCEPT !.parks[m] = status])
             \/ Keep(i, r, NotAble(q, m))
  /\ UNCHANGED stable
(* The backlog is read in order; what is not visible yet holds up what is
   behind it. *)
Load(i, r) ==
  LET w == relay[i]
      q == w.routes[r]
      taken == Set(q.lane) \cup q.inflight \cup q.done \cup Rows(q.parks)
  IN
  /\ w.up /\ q.mode = "BACKLOG" /\ ~w.hold /\ Len(q.lane) < Window
  /\ \E k \in 1..Len(q.backlog) :
       /\ q.backlog[k] \in visible \ taken
       /\ \A j \in 1..(k-1) : q.backlog[j] \in taken
       /\ Keep(i, r, [q EXCEPT !.lane = Append(@, q.backlog[k])])
  /\ UNCHANGED <<stable, sent, fails>>
(* may_stream.  engine_is_complete: nothing has to go before what the stream
   brings. *)
Complete(w) == w.phase = "RUN" \/ (w.phase = "PASS" /\ ~w.gap)
ToStream(i, r) ==
  LET w == relay[i]  q == w.routes[r] IN
  /\ lease = i /\ Complete(w) /\ w.settling = <<>> /\ w.pour = <<>>
  /\ q.mode = "BACKLOG" /\ q.backlog = <<>> /\ q.tail = <<>> /\ q.lane = <<>>
  /\ Keep(i, r, [q EXCEPT !.mode = "STREAM"])
  /\ UNCHANGED <<stable, sent, fails>>

(* ---------- operator: redrive or cancel ---------- *)

Operate(r) ==
  /\ \E m \in Ids :
       /\ db.parked[r][m] = "DEAD"
       /\ \/ db' = [db EXCEPT !.parked[r][m] = "FAILED"] /\ excused' = excused
          \/ /\ db' = [db EXCEPT !.parked[r][m] =
                         IF On("keepRow") THEN "CANCELLED" ELSE "-"]
             /\ excused' = excused \cup {<<m, r>>}
  /\ UNCHANGED <<n, visible, slot, prev, late, lease, relay, sent, faults,
                 fails>>
Hear(i, r) ==
  /\ lease = i /\ relay[i].settling = <<>>
  /\ \E m \in Ids :
       /\ relay[i].routes[r].rows[m] = "DEAD" /\ db.parked[r][m] # "DEAD"
       /\ relay' = [relay EXCEPT ![i].routes[r].rows[m] = db.parked[r][m]]
  /\ UNCHANGED <<stable, sent, fails>>

(* ---------- faults ---------- *)

Fault(name, ls, rl, lt, sl, d, v) ==
  /\ name \in Faults /\ faults < MaxFaults /\ faults' = faults + 1
  /\ lease' = ls /\ relay' = rl /\ late' = lt /\ slot' = sl /\ db' = d
  /\ visible' = v /\ UNCHANGED <<n, prev, sent, excused, fails>>
Gone == IF lease = 0 THEN relay ELSE [relay EXCEPT ![lease] = Down]
Orphan == IF lease # 0 /\ relay[lease].settling # <<>>
          THEN relay[lease].settling ELSE late
All == 1..n
(* the relay dies, or loses its connection with a settle under way; that
   settle may still be applied *)
RelayDies == lease # 0 /\ Fault("relay", 0, Gone, Orphan, slot, db, visible)
ServerDies == Fault("server", 0, Gone, <<>>,
                    [slot EXCEPT !.confirmed = slot.saved], db, All)
SlotLost == slot.ok /\ Fault("lost", 0, Gone, Orphan,
                             [slot EXCEPT !.ok = FALSE], db, visible)
SlotMoved == slot.ok /\ Fault("moved", 0, Gone, Orphan,
               [slot EXCEPT !.confirmed = n, !.saved = n], db, visible)
\* promotion: the standby's slot leads its tables by one settle
SlotAhead == Fault("ahead", 0, Gone, <<>>, slot, prev, All)
\* frozen or cut off: it goes on where it was
TakeOver == lease # 0 /\ Fault("takeover", 0, relay, late, slot, db, visible)
Notice(i) ==
  /\ relay[i].up /\ lease # i /\ relay' = [relay EXCEPT ![i] = Down]
  /\ UNCHANGED <<stable, sent, fails>>

Step(i) ==
  \/ Start(i) \/ NextXid(i) \/ ReadU(i) \/ GiveUp(i) \/ PassL(i)
  \/ ReadTable(i) \/ BeginStream(i) \/ Read(i) \/ Settle(i) \/ Answered(i)
  \/ Confirm(i) \/ Notice(i)
  \/ \E r \in Routes : \/ Send(i, r) \/ Retry(i, r) \/ Follow(i, r)
                       \/ Answer(i, r) \/ Load(i, r) \/ ToStream(i, r)
                       \/ Hear(i, r)
Next ==
  \/ Commit \/ Visible \/ MakeSlot \/ Checkpoint \/ Late
  \/ (\E i \in Relays : Step(i)) \/ (\E r \in Routes : Operate(r))
  \/ RelayDies \/ ServerDies \/ SlotLost \/ SlotMoved \/ SlotAhead \/ TakeOver
Spec == Init /\ [][Next]_vars
Fair ==
  /\ WF_vars(Visible) /\ WF_vars(MakeSlot)
  /\ \A i \in Relays :
       /\ WF_vars(Start(i)) /\ WF_vars(NextXid(i)) /\ WF_vars(ReadU(i))
       /\ WF_vars(PassL(i)) /\ WF_vars(ReadTable(i)) /\ WF_vars(BeginStream(i))
       /\ WF_vars(Read(i)) /\ WF_vars(Settle(i)) /\ WF_vars(Answered(i))
       /\ WF_vars(Confirm(i)) /\ WF_vars(Notice(i))
       /\ \A r \in Routes :
            /\ WF_vars(Send(i, r)) /\ WF_vars(Retry(i, r))
            /\ WF_vars(Follow(i, r)) /\ WF_vars(Answer(i, r))
            /\ WF_vars(Load(i, r)) /\ WF_vars(ToStream(i, r))
            /\ WF_vars(Hear(i, r))
FairSpec == Spec /\ Fair

(* ---------- invariants ---------- *)

Delivered(m, r) == sent[r][m] > 0
DeadFor(m, r) == db.parked[r][m] \in {"DEAD", "CANCELLED"}
Stuck(m, r) == /\ OnDead = "block" /\ db.parked[r][m] = "NEW"
               /\ \E x \in Ids : db.parked[r][x] = "DEAD" /\ SameKey(x, m)
QuietRoute(q, r) ==
  /\ q.lane = <<>> /\ q.inflight = {} /\ q.done = {} /\ q.tail = <<>>
  /\ q.backlog = <<>> /\ Rows(q.parks) = {}
  /\ \A m \in Waiting(q) : q.rows[m] = "DEAD" \/ Stuck(m, r)
  \* every doorbell was heard
  /\ \A m \in Ids : q.rows[m] = "DEAD" => db.parked[r][m] = "DEAD"
Quiet ==
  /\ lease # 0 /\ visible = 1..n /\ late = <<>>
  /\ LET w == relay[lease] IN
       /\ w.phase = "RUN" /\ w.passed = n /\ w.settling = <<>>
       /\ w.open = {} /\ w.pour = <<>> /\ w.deferred = {}
       /\ \A r \in Routes : QuietRoute(w.routes[r], r)
NoLoss == Quiet => \A m \in 1..n, r \in Routes :
            Delivered(m, r) \/ DeadFor(m, r) \/ Stuck(m, r)
KeyOrder == \A r \in Routes, a, b \in Ids :
  (a < b /\ SameKey(a, b) /\ Delivered(b, r))
    => (Delivered(a, r) \/ <<a, r>> \in excused)
\* P is past nothing unresolved
Honest == 1..db.P \subseteq db.resolved
StatusSent == \A m \in db.resolved, r \in Routes :
  Delivered(m, r) \/ m \in Set(db.backlog[r]) \/ db.parked[r][m] # "-"
DeadStays == lease # 0 => \A r \in Routes, m \in Ids :
  DeadFor(m, r) => m \notin relay[lease].routes[r].inflight
Bounded == \A r \in Routes, m \in Ids : sent[r][m] <= 1 + faults
(* the relay's view is the table's, so nothing lies there forgotten *)
NoGhost == Quiet => \A r \in Routes :
  /\ db.backlog[r] = <<>>
  /\ \A m \in Ids : db.parked[r][m] \in {"NEW", "FAILED"}
                    => relay[lease].routes[r].rows[m] # "-"
\* under FairSpec
Live == \A m \in Ids, r \in Routes :
  (n >= m) ~> (Delivered(m, r) \/ DeadFor(m, r))
\* only where the slot itself is not tampered with
Horizon == 1..slot.confirmed \subseteq db.resolved
=============================================================================
