/* Permits, arbitration, takeover and offers (docs/protocol.md), with time in ticks. Explored by Spin; tests/model/run says how.

   What it promises: see `check`. Within the bounds below, for every order of every step:
     - at most one node is alone with a valid permit;
     - from a takeover on, the other node has no valid permit of before, so no group may run on both.

   How it stays small without saying less. A node may do anything that is allowed here at any moment, or never; only time is forced.
   So a link that loses, delays or repeats, a disk that is slow or gone for one node or both, and a frozen node are steps not taken.
   Everything that only delays or prefers is left out, which allows more than the code does: `suspect` (a joined node may seek at any
   moment, a seeking one may start a cycle at any moment), who goes first, who makes the offer, incarnations, whether an offer is void.
   An echo counts from the moment the peer *received* what it echoes, not from the earlier one when that was sent.
   The guard is the permit, which runs down whatever the node does.

   Removing a rule: -DNAME with a name that stands in an #ifdef below. */

#ifndef P
#define P 2              /* ticks a permit lasts */
#endif
#ifndef W
#ifdef DRIFT
#define W (P + 1)        /* P(1+rho): with DRIFT a clock may lose one tick in P+1 */
#else
#define W P
#endif
#endif
#ifndef TERMS
#define TERMS 3          /* the highest term; steps that need a higher one aren't taken */
#endif
#ifndef RESTARTS
#define RESTARTS 0       /* of both nodes together */
#endif

#define SEEKING 0
#define ALONE   1
#define JOINED  2

#define IDLE    0        /* a disk cycle: none under way, */
#define WRITING 1        /* started, the write may land at any moment, */
#define LANDED  2        /* landed, not read yet, */
#define READ    3        /* read, the node doesn't know it yet */
#define ORPHAN  4        /* the write of an incarnation that is dead: lands, or doesn't, before the new one writes */

#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* A's terms are odd, B's even. */
#ifdef NO_PARITY
#define NEXT_TERM(above) ((above) + 1)
#else
#define NEXT_TERM(above) ((above) + 1 + (((above) + me) & 1))
#endif

typedef Node {
  unsigned role : 2;
  unsigned step : 2;           /* seeking: 1, 2, and 3 = in step 2 with a term that was written already */
  unsigned permit : 3;         /* ticks left */
  bit took;                    /* it runs what it took over */
  bit before;                  /* its permit is from before the other's takeover */
  unsigned since_r_last : 3;   /* ticks, up to W */
#ifdef ECHO_APART
  unsigned since_heard : 3;    /* like it, but on the clock of the node that is to be echoed */
#endif

  /* stored: kept by a restart */
  unsigned highest : 3;        /* term seen */
  unsigned joined : 3;         /* the last term it was joined in */
  unsigned alone : 3;          /* the highest term it wrote `alone` with */

  unsigned granted : 3;        /* the last term this process was joined in and got a grant in */
  unsigned offer : 3;          /* the term it offers */

  /* of the peer's slot */
  bit known;                   /* read in this stint */
  unsigned same_for : 3;       /* ticks since the completion of the first read that showed it as it is, up to W */
  bit marked;                  /* it says that all is stopped */
  bit was_retired;             /* as step 2 left it, its alone-term was retired */

  /* the cycle under way */
  unsigned cycle : 3;
  unsigned age : 3;            /* ticks since its write started, up to P */
  bit late;                    /* the role changed since: it changes nothing */
  bit was_quiet;               /* when it started, the slot had been the same for W */
  bit io_alone; unsigned io_term : 3; unsigned io_stopped : 3;   /* what it writes, then what it read */
  bit io_moved                 /* the slot was written since this node last read it */
};
Node node[2];

typedef Slot { bit alone; unsigned term : 3; unsigned stopped : 3; bit moved };
Slot slot[2];

/* The heartbeat in the link, by sender: 0 = says nothing of that kind. */
typedef Heartbeat { unsigned grant : 3; unsigned since_echoed : 3; unsigned offer : 3 };
Heartbeat link[2];

unsigned restarts : 2;
#ifdef DRIFT
typedef Clock { unsigned lost : 3 };   /* ticks until it may be slow again */
Clock clock[2];
#endif

#define my    node[me]
#define peers node[1 - me]

#ifdef ECHO_APART
#define heard_here my.since_heard
#else
#define heard_here my.since_r_last
#endif

hidden byte quiet, retired, lost;

/* ---- what must always hold */

inline check() {
  tidy(0); tidy(1);
  assert(!(node[0].role == ALONE && node[0].permit > 0 && node[1].role == ALONE && node[1].permit > 0));  /* one alone */
  assert(!(my.took && my.permit > 0 && peers.before && peers.permit > 0));                               /* one owner */
  assert(!(peers.took && peers.permit > 0 && my.before && my.permit > 0))
}

/* A message that can't mean anything any more is taken out of the link, a slot's move that nobody will compare is forgotten: fewer states. */
inline tidy(i) {
#ifndef KEEP_OLD_MESSAGES
  if
  :: link[i].grant < node[1 - i].joined || (link[i].grant == node[1 - i].joined &&
       (node[1 - i].role != JOINED || (link[i].since_echoed >= P && node[1 - i].granted == link[i].grant))) -> link[i].grant = 0; link[i].since_echoed = P
  :: else
  fi;
  if
  :: link[i].offer < node[1 - i].highest || link[i].offer <= node[1 - i].joined || link[i].offer <= node[1 - i].alone -> link[i].offer = 0
  :: else
  fi;
#endif
  if :: !node[1 - i].known && node[1 - i].cycle != READ -> slot[i].moved = 0 :: else fi
}

/* ---- the doors between the roles */

inline forget_what_was_read() {
  my.marked = 0; my.was_retired = 0;
#ifndef WAITS_CARRIED_OVER
  my.known = 0; my.same_for = 0;
#endif
#ifdef LATE_CYCLE_COUNTS
  skip
#else
  if
  :: my.cycle == WRITING -> my.late = 1; my.age = 0     /* the write will land, what it reads then changes nothing */
  :: my.cycle == LANDED || my.cycle == READ -> end_cycle()
  :: else
  fi
#endif
}

/* Every entry into seeking starts both waits anew. */
inline seek() {
  my.role = SEEKING; my.step = 1; my.offer = 0;
  forget_what_was_read()
}

inline become_joined(term) {
  my.role = JOINED; my.joined = term; my.highest = MAX(my.highest, term);
  my.step = 0; my.offer = 0; my.before = 0; my.since_r_last = 0;
#ifdef ECHO_APART
  my.since_heard = 0;
#endif
  forget_what_was_read();
  my.known = 0; my.same_for = 0
}

inline extend_permit(ticks) {
  my.permit = MAX(my.permit, ticks)
}

/* What time alone ends, before anything else is looked at. */
inline lapse() {
#ifndef NO_LAPSE
  if :: my.role == ALONE && my.permit == 0 -> seek() :: else fi
#else
  skip
#endif
}

/* ---- the disk */

inline start_cycle() {
  my.cycle = WRITING; my.age = 0; my.late = 0;
  my.io_stopped = 0;
  if
  :: my.role == SEEKING && my.step == 1 ->
    my.io_alone = 0;
#ifdef MARK_WHILE_RUNNING
    my.io_stopped = MAX(my.joined, my.alone)
#else
    if :: my.permit == 0 ->
#ifdef MARK_NAMES_TERM_SEEN
      my.io_stopped = my.highest
#else
      my.io_stopped = MAX(my.joined, my.alone)
#endif
       :: else
    fi
#endif
  :: else ->
    my.io_alone = 1;
    if
    :: my.step == 2 ->   /* the term is chosen, and stored, when `alone` is written */
#ifdef CLAIM_NOT_ABOVE_SEEN
      my.alone = NEXT_TERM(MAX(my.alone, my.joined));
#else
      my.alone = NEXT_TERM(my.highest);
#endif
      my.highest = MAX(my.highest, my.alone);
      my.step = 3
    :: else
    fi
  fi;
  my.io_term = my.alone;
  my.was_quiet = (my.role == SEEKING && my.known && my.same_for >= W)
}

inline land() {
  slot[me].alone = my.io_alone; slot[me].term = my.io_term; slot[me].stopped = my.io_stopped;
  slot[me].moved = (peers.known || peers.cycle == READ);
  my.io_alone = 0; my.io_term = 0; my.io_stopped = 0;
  my.cycle = LANDED;
  if :: my.late -> end_cycle() :: else fi
}

inline read_slot() {
  my.cycle = READ;
  my.io_alone = slot[1 - me].alone; my.io_term = slot[1 - me].term; my.io_stopped = slot[1 - me].stopped;
  my.io_moved = slot[1 - me].moved; slot[1 - me].moved = 0
}

inline end_cycle() {
  if :: my.known && my.io_moved -> slot[1 - me].moved = 1 :: else fi;   /* read, but not looked at */
  my.cycle = IDLE; my.age = 0; my.late = 0; my.was_quiet = 0;
  my.io_alone = 0; my.io_term = 0; my.io_stopped = 0; my.io_moved = 0
}

inline finish_cycle() {
  my.highest = MAX(my.highest, my.io_term);
  note_peers_slot();
  my.io_moved = 0;
  if
  :: my.role == ALONE -> decide_alone()
  :: my.role == SEEKING && my.step == 1 -> decide_step_1()
  :: my.role == SEEKING && my.step != 1 -> decide_step_2()
  :: else
  fi;
  if :: my.role != ALONE -> my.marked = 0 :: my.role == ALONE && (my.took || my.was_retired) -> my.same_for = W :: else fi;
  end_cycle()
}

inline note_peers_slot() {
  if
  :: !my.known || my.io_moved ->
    if :: my.role != ALONE || my.known == 0 -> my.same_for = 0 :: else fi;   /* alone: later changes don't restart that wait */
#ifdef READ_COUNTS_FROM_START
    my.same_for = my.age;
#endif
    my.known = 1;
    quiet = 0
#ifdef QUIET_AT_END_OF_CYCLE
  :: else -> quiet = (my.same_for >= W)
#else
  :: else -> quiet = my.was_quiet
#endif
  fi;
#ifdef NO_QUIET_WAIT
  quiet = 1;
#endif
#ifdef RETIRED_WITHOUT_GRANT
  retired = (my.io_term < my.joined);
#else
  retired = (my.io_term < my.granted);
#endif
  my.marked = (my.io_stopped > 0
#ifndef MARK_BELOW_ALONE_TERM
               && my.io_stopped >= my.io_term
#endif
#ifndef MARK_BELOW_LAST_JOINED
               && my.io_stopped >= my.joined
#endif
               )
}

inline decide_step_1() {
  if :: !my.io_alone || retired || quiet -> my.step = 2 :: else fi
}

inline decide_step_2() {
#ifdef STEP_2_BLIND_TO_HIGHER
  lost = 0;
#else
  lost = (my.io_term > my.alone);
#endif
  if
#ifndef STEP_2_BLIND_TO_ALONE
  :: my.io_alone && !retired && !quiet -> if :: lost -> my.step = 1 :: else fi   /* the higher repeats, the lower goes back */
  :: (!my.io_alone || retired || quiet) && lost -> my.step = 1
  :: (!my.io_alone || retired || quiet) && !lost ->
#else
  :: lost -> my.step = 1
  :: !lost ->
#endif
    if
    :: my.age < P ->
      my.role = ALONE; my.step = 0; my.offer = 0; my.before = 0; my.was_retired = retired;
      disk_permit()
    :: else
    fi
  fi
}

inline disk_permit() {
#ifdef CYCLE_COUNTS_FROM_END
  extend_permit(P)
#else
  if :: my.age < P -> extend_permit(P - my.age) :: else fi
#endif
}

inline decide_alone() {
  if
#ifndef ALONE_BLIND_TO_HIGHER
  :: my.io_term > my.alone -> seek()   /* what runs is stopped; that may take as long as the permit */
  :: else -> disk_permit()
#else
  :: disk_permit()
#endif
  fi
}

/* ---- heartbeats */

inline send_heartbeat() {
  link[me].grant = (my.role == JOINED -> my.joined : 0);
  link[me].since_echoed = (my.role == JOINED && heard_here < P -> heard_here : P);
#ifdef OFFERER_GRANTS_AT_ONCE
  if :: my.offer != 0 -> link[me].grant = my.offer; link[me].since_echoed = (heard_here < P -> heard_here : P) :: else fi;
#endif
  link[me].offer = my.offer
}

#define incoming link[1 - me]

inline receive_heartbeat() {
  my.highest = MAX(my.highest, MAX(incoming.grant, incoming.offer));
  if
  :: my.role != JOINED && my.offer != 0 && incoming.grant == my.offer -> become_joined(incoming.grant)
  :: my.role == SEEKING && incoming.offer != 0 &&
#ifndef OFFER_OF_AN_OLD_TERM
     incoming.offer >= my.highest &&
#endif
     incoming.offer > my.joined && incoming.offer > my.alone -> become_joined(incoming.offer)
  :: else
  fi;
  if
  :: my.role == JOINED ->
#ifndef R_LAST_NOT_MOVED
    my.since_r_last = 0;
#endif
#ifdef ECHO_APART
    my.since_heard = 0;
#endif
    if
#ifdef GRANT_OF_ANY_TERM
    :: incoming.grant != 0 -> my.granted = my.joined; count_grant()
#else
    :: incoming.grant == my.joined -> my.granted = my.joined; count_grant()
#endif
    :: else
    fi
#ifdef GRANT_COUNTS_WHILE_SEEKING
  :: my.role == SEEKING && incoming.grant != 0 && incoming.grant == my.joined -> count_grant()
#endif
  :: else
  fi
}

inline count_grant() {
#ifdef GRANT_COUNTS_FROM_RECEIPT
  extend_permit(P)
#else
  if :: incoming.since_echoed < P -> extend_permit(P - incoming.since_echoed) :: else fi
#endif
}

/* ---- takeover */

#ifdef TAKEOVER_WITHOUT_LINK_WAIT
#define LINK_WAIT_OVER 1
#else
#define LINK_WAIT_OVER (my.since_r_last >= W)
#endif
#ifdef TAKEOVER_WITHOUT_SLOT_WAIT
#define SLOT_WAIT_OVER 1
#else
#define SLOT_WAIT_OVER (my.was_retired || my.same_for >= W)
#endif
#define MAY_TAKE_OVER (my.role == ALONE && my.permit > 0 && (my.marked || (LINK_WAIT_OVER && SLOT_WAIT_OVER)))

/* ---- a new process: the permit of the old one runs on, what it stored stays, all else is gone */

inline restart() {
  restarts++;
  if :: my.cycle == WRITING -> my.cycle = ORPHAN; my.late = 1; my.was_quiet = 0; my.age = 0 :: my.cycle == LANDED || my.cycle == READ -> end_cycle() :: else fi;
  my.known = 0; my.same_for = 0;
  seek();
  my.granted = 0; my.since_r_last = 0;
#ifdef ECHO_APART
  my.since_heard = P;
#endif
#ifdef TERMS_FORGOTTEN
  my.highest = 0; my.joined = 0;
#endif
#ifdef LAST_JOINED_FORGOTTEN
  my.joined = 0;
#endif
#ifdef R_LAST_NOT_FROM_START
  my.since_r_last = W;
#endif
  skip
}

/* ---- what may happen */

proctype Machine(bit me) {
  do
  :: d_step { my.role == JOINED -> seek(); check() }                                       /* no fresh grant, a new incarnation, ... */
  :: d_step { my.role == ALONE && my.permit == 0 -> lapse(); check() }
  :: d_step { my.role == SEEKING && my.permit > 0 -> my.permit = 0; my.took = 0; my.before = 0; check() }   /* all has ended here */

  :: d_step { my.role != JOINED && my.cycle == IDLE && (my.step != 2 || NEXT_TERM(my.highest) <= TERMS) -> lapse(); start_cycle(); check() }
  :: d_step { my.cycle == WRITING -> land(); check() }
  :: d_step { my.cycle == LANDED -> read_slot(); check() }
  :: d_step { my.cycle == READ -> lapse(); if :: my.cycle == READ -> finish_cycle() :: else fi; check() }
  :: d_step { my.cycle == ORPHAN -> land(); end_cycle(); check() }
  :: d_step { my.cycle == ORPHAN -> end_cycle(); check() }

  :: d_step { my.role != JOINED && my.offer == 0 && NEXT_TERM(my.highest) <= TERMS -> lapse(); my.offer = NEXT_TERM(my.highest); my.highest = my.offer; check() }
  :: d_step { my.offer != 0 -> my.offer = 0; check() }                                     /* void: a higher one may be made */
  :: d_step { lapse(); send_heartbeat(); check() }
  :: d_step { incoming.grant != 0 || incoming.offer != 0 || my.role == JOINED -> lapse(); receive_heartbeat(); check() }

  :: d_step { MAY_TAKE_OVER && !my.took -> my.took = 1; my.before = 0; peers.before = (peers.permit > 0); check() }
#if RESTARTS > 0
  :: d_step { restarts < RESTARTS -> restart(); check() }
#endif
  od
}

/* On the clock of node i: what it measures, and the age of its own send times. */
inline tick(i) {
  if :: node[i].permit > 0 -> node[i].permit-- :: else fi;
  if :: node[i].permit == 0 -> node[i].took = 0; node[i].before = 0 :: else fi;
  if :: node[i].since_r_last < W -> node[i].since_r_last++ :: else fi;
  if :: node[i].known && node[i].same_for < W -> node[i].same_for++ :: else fi;
  if :: node[i].cycle != IDLE && !node[i].late && node[i].age < P -> node[i].age++ :: else fi;
#ifdef ECHO_APART
  if :: node[1 - i].since_heard < P -> node[1 - i].since_heard++ :: else fi;
#endif
  if :: link[1 - i].since_echoed < P -> link[1 - i].since_echoed++ :: else fi
}

proctype Time() {
  do
  :: d_step { tick(0); tick(1); tidy(0); tidy(1)
#ifdef DRIFT
     ; if :: clock[0].lost > 0 -> clock[0].lost-- :: else fi; if :: clock[1].lost > 0 -> clock[1].lost-- :: else fi
#endif
     }
#ifdef DRIFT   /* one clock loses a tick, at most one in P+1 */
  :: d_step { clock[0].lost == 0 -> tick(1); tidy(0); tidy(1); clock[0].lost = P; if :: clock[1].lost > 0 -> clock[1].lost-- :: else fi }
  :: d_step { clock[1].lost == 0 -> tick(0); tidy(0); tidy(1); clock[1].lost = P; if :: clock[0].lost > 0 -> clock[0].lost-- :: else fi }
#endif
  od
}

/* ---- where it begins: both just started; both joined in term 1; A alone in term 1 and B just started */

inline first_joined(i) {
  node[i].role = JOINED; node[i].step = 0; node[i].permit = P; node[i].joined = 1; node[i].granted = 1; node[i].highest = 1
}

init {
  d_step {
    node[0].step = 1; node[1].step = 1; link[0].since_echoed = P; link[1].since_echoed = P;
#ifdef ECHO_APART
    node[0].since_heard = P; node[1].since_heard = P;
#endif
  }
  atomic {
    if
#ifndef START
#define START 7
#endif
#if START & 1
    :: skip
#endif
#if START & 2
    :: d_step { first_joined(0); first_joined(1) }
#endif
#if START & 4
    :: d_step { node[0].role = ALONE; node[0].step = 0; node[0].permit = P; node[0].highest = 1; node[0].alone = 1; node[0].known = 1;
                node[0].since_r_last = W; node[0].same_for = W; slot[0].alone = 1; slot[0].term = 1; slot[0].moved = 1 }
#endif
    fi;
    run Machine(0); run Machine(1); run Time()
  }
}
