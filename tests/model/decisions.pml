/* Decisions (docs/protocol.md, "Decisions"): who stores, learns, commits and acts on what, and when one group starts where. Without time.

   What it promises: committed decisions never fork and never disappear (`committed`), and the group never runs on two nodes (`started`).

   Who leads is free, but for what permits.pml shows: while one node is alone with a permit the other isn't, and a node may take over
   once the other has no permit; the other then gets none before it is joined again. A node may leave its term at any moment; being
   started again is the same here, since both forget all but the store. Messages are late or lost: what was sent stays in the link.
   Left out: several groups (each moves alone), blank and replaced stores, `quorum force`, configurations.

   A decision is named by its term and its place in it, in one number that orders them. 0 is the one before all: node 0 owns the group.
   Removing a rule: -DNAME with a name that stands in an #ifdef below. */

#ifndef TERMS
#define TERMS 3
#endif
#ifndef INDEX
#define INDEX 2          /* decisions in a term */
#endif
#define TERM_OF(id)  ((id) == 0 -> 0 : ((id) - 1) / INDEX + 1)
#define INDEX_OF(id) (((id) - 1) % INDEX + 1)
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#ifdef NO_PARITY
#define NEXT_TERM(above) ((above) + 1)
#else
#define NEXT_TERM(above) ((above) + 1 + (((above) + me) & 1))
#endif

#define SEEKING 0
#define ALONE   1
#define LEADS   2        /* joined, its offer was taken */
#define FOLLOWS 3        /* joined, it took the offer */

typedef Decision { bit owner; bit draining; unsigned base : 4 };
Decision decision[TERMS * INDEX + 1];
unsigned newest_committed : 4;

typedef Node {
  unsigned role : 2;
  unsigned in : 3;         /* the term of its role */
  bit permit;
  bit runs;
  bit may_take;            /* alone: the other's permit of before is over */
  unsigned term : 3;       /* stored: the highest seen */
  unsigned stored : 4;     /* stored: the newest decision */
  unsigned offer : 3;
  bit learned;
  unsigned base : 4;       /* a leader builds on it */
  unsigned acting : 4;     /* what is known to be committed in its term; 0: nothing */
  /* in the link or on its way to the disk */
  unsigned sent : 4;       /* to be stored by the follower */
  unsigned told_in : 3;    /* the follower's word to the leader of that term: */
  unsigned told : 4;       /* its newest decision */
  unsigned acked : 4;
  unsigned report : 4;     /* "all is stopped here", under that decision */
  unsigned placing : 4
};
Node node[2];

/* The quorum disk: each node's alone-term, and the decision its slot names. */
typedef Area { unsigned alone : 3; unsigned named : 4 };
Area disk[2];

#define my     node[me]
#define peers  node[1 - me]
#define LEADER (my.role == ALONE || my.role == LEADS)
#define PROPOSED (my.stored != my.base && my.learned && TERM_OF(my.stored) == my.in)

hidden byte t, x, low;

inline commit(id) {   /* it is on two of three: the chain of what was committed must go through it */
  x = MAX(id, newest_committed); low = (id < newest_committed -> id : newest_committed);
  do :: x > low -> x = decision[x].base :: else -> break od;
  assert(x == low);                                       /* committed */
  newest_committed = MAX(id, newest_committed)
}

inline forget() {
  my.offer = 0; my.learned = 0; my.base = 0; my.acting = 0; my.may_take = 0
}

inline leave() {
  my.role = SEEKING; my.in = 0;
  forget()
}

inline become_alone() {
  t = NEXT_TERM(MAX(my.term, MAX(disk[0].alone, disk[1].alone)));
#ifdef TERM_NOT_STORED_FIRST_ON_DISK
  t = NEXT_TERM(my.term);
#endif
#ifdef LEARNED_BEFORE_TERM
  x = my.learned; low = my.base; forget(); my.learned = x; my.base = low;
#else
  forget();
#endif
  my.term = t; my.in = t; my.role = ALONE; my.permit = 1;
#ifndef TERM_NOT_STORED_FIRST_ON_DISK
  disk[me].alone = t
#endif
}

inline learn_from_disk() {
  my.learned = 1;
#ifdef NEWEST_ON_DISK_NOT_LEARNED
  my.base = my.stored
#else
  my.base = MAX(my.stored, MAX(disk[0].named, disk[1].named))
#endif
}

inline accept_offer() {
  forget();
  my.role = FOLLOWS; my.in = peers.offer;
#ifndef TERM_NOT_STORED_FIRST_BY_FOLLOWER
  my.term = peers.offer;
#endif
  my.told_in = peers.offer; my.told = my.stored
}

inline lead_joined() {
  t = my.offer; forget();
  my.role = LEADS; my.in = t
}

inline learn_from_follower() {
  my.learned = 1;
#ifdef NEWEST_OF_FOLLOWER_NOT_LEARNED
  my.base = my.stored
#else
  my.base = MAX(my.stored, peers.told)
#endif
}

#define NEXT_ID (TERM_OF(my.base) == my.in -> my.base + 1 : (my.in - 1) * INDEX + 1)
#define CAN_PROPOSE (LEADER && my.learned && my.permit && !PROPOSED && (TERM_OF(my.base) != my.in || INDEX_OF(my.base) < INDEX))
#define NOW_IT_IS decision[my.base]
#define IN_TERM (TERM_OF(my.base) == my.in)

inline propose(to, drains) {   /* on its own disk first */
  x = to; low = drains;
  t = NEXT_ID;
  decision[t].owner = x; decision[t].draining = low; decision[t].base = my.base;
  my.stored = t
#ifdef LEADER_ACTS_BEFORE_COMMIT
  ; my.acting = t
#endif
}

#ifdef REPORT_OF_AN_OLDER_DECISION_COUNTS
#define REPORTED(n, under) (node[n].report != 0)
#else
#define REPORTED(n, under) (node[n].report == (under))
#endif
#ifdef MOVES_WITHOUT_REPORT
#define STOPPED_THERE 1
#else
#define STOPPED_THERE (NOW_IT_IS.owner == me -> (my.acting == my.base && REPORTED(me, my.base)) : REPORTED(1 - me, my.base))
#endif

#ifdef FOUND_BASE_COUNTS_AS_COMMITTED
#define OF_MY_TERM(id) 1
#define ACTING (my.learned && my.acting == 0 -> my.base : my.acting)
#elif defined(FOUND_DECISION_COUNTS)
#define OF_MY_TERM(id) 1
#define ACTING (my.acting == 0 -> my.stored : my.acting)
#else
#define OF_MY_TERM(id) (TERM_OF(id) == my.in)
#define ACTING my.acting
#endif
#ifdef STARTS_WHILE_DRAINING
#define TO_RUN(id) (decision[id].owner == me)
#else
#define TO_RUN(id) (decision[id].owner == me && !decision[id].draining)
#endif

#ifdef COMMITTED_WITHOUT_A_LOOK
#define STILL_ALLOWED 1
#else
#define STILL_ALLOWED (disk[1 - me].alone < my.in)
#endif
#ifdef FOLLOWER_STORES_FOR_A_TERM_IT_LEFT
#define STILL_FOLLOWS 1
#else
#define STILL_FOLLOWS (my.role == FOLLOWS && TERM_OF(peers.sent) == my.in)
#endif

proctype Machine(bit me) {
  do
  /* membership */
  :: d_step { my.role != SEEKING -> leave() }
  :: d_step { my.permit -> my.permit = 0; my.runs = 0; my.may_take = 0; if :: my.role == ALONE -> leave() :: else fi }
  :: d_step { my.role == SEEKING && !(peers.role == ALONE) && NEXT_TERM(MAX(my.term, MAX(disk[0].alone, disk[1].alone))) <= TERMS -> become_alone() }
  :: d_step { (my.role == SEEKING || my.role == ALONE) && my.offer == 0 && NEXT_TERM(MAX(my.term, peers.term)) <= TERMS ->
              my.offer = NEXT_TERM(MAX(my.term, peers.term)); my.term = my.offer }
  :: d_step { my.role == SEEKING && peers.offer > my.term -> accept_offer() }
  :: d_step { (my.role == SEEKING || my.role == ALONE) && my.offer != 0 && peers.told_in == my.offer -> lead_joined() }
  :: d_step { !my.permit && (my.role == LEADS || my.role == FOLLOWS) && peers.in == my.in -> my.permit = 1 }   /* a grant */
#ifdef TAKES_OVER_AT_ONCE
  :: d_step { my.role == ALONE && !my.may_take -> my.may_take = 1 }
#else
  :: d_step { my.role == ALONE && !my.may_take && !peers.permit -> my.may_take = 1 }
#endif

  /* the leader learns */
#ifdef LEARNED_BEFORE_TERM
  :: d_step { my.role == SEEKING && !my.learned -> learn_from_disk() }
#endif
  :: d_step { my.role == ALONE && !my.learned -> learn_from_disk() }
  :: d_step { my.role == LEADS && !my.learned && peers.told_in == my.in -> learn_from_follower() }

  /* and decides: the same again as the first of its term, a drain, calling it off, the move, a takeover */
  :: d_step { CAN_PROPOSE && !IN_TERM -> propose(NOW_IT_IS.owner, NOW_IT_IS.draining) }
  :: d_step { CAN_PROPOSE && my.role == LEADS && !NOW_IT_IS.draining -> propose(NOW_IT_IS.owner, 1) }
  :: d_step { CAN_PROPOSE && NOW_IT_IS.draining && (my.role == LEADS || NOW_IT_IS.owner == me) -> propose(NOW_IT_IS.owner, 0) }
  :: d_step { CAN_PROPOSE && NOW_IT_IS.draining && my.role == LEADS && STOPPED_THERE -> propose(1 - NOW_IT_IS.owner, 0) }
  :: d_step { CAN_PROPOSE && my.role == ALONE && NOW_IT_IS.owner != me && my.may_take -> propose(me, 0) }

  /* alone, the disk is the second store: written, named by the slot, and the cycle's read still allows it */
  :: d_step { my.role == ALONE && PROPOSED && my.placing == 0 && disk[me].named != my.stored -> my.placing = my.stored }
  :: d_step { my.placing != 0 -> disk[me].named = my.placing; my.placing = 0
#ifdef TERM_NOT_STORED_FIRST_ON_DISK
              ; disk[me].alone = MAX(disk[me].alone, TERM_OF(disk[me].named))
#endif
            }
  :: d_step { my.placing != 0 && my.role == SEEKING -> my.placing = 0 }
  :: d_step { my.role == ALONE && PROPOSED && disk[me].named == my.stored && STILL_ALLOWED -> commit(my.stored); my.base = my.stored; my.acting = my.stored }

  /* joined, the follower is */
  :: d_step { my.role == LEADS && PROPOSED && my.sent != my.stored -> my.sent = my.stored }
  :: d_step { peers.sent > my.stored && STILL_FOLLOWS -> my.stored = peers.sent; commit(my.stored); my.acked = my.stored;
                 if :: my.role == FOLLOWS && TERM_OF(my.stored) == my.in -> my.acting = my.stored :: else fi }
  :: d_step { my.role == LEADS && PROPOSED && peers.acked == my.stored -> my.base = my.stored; my.acting = my.stored }

  /* the group */
  :: d_step { my.permit && !my.runs && ACTING != 0 && my.role != SEEKING && OF_MY_TERM(ACTING) && TO_RUN(ACTING) ->
              my.runs = 1; assert(!peers.runs) /* started */ }
  :: d_step { my.runs -> my.runs = 0 }
  :: d_step { my.acting != 0 && my.role != SEEKING && !my.runs && decision[my.acting].owner == me && decision[my.acting].draining && my.report != my.acting -> my.report = my.acting }
  od
}

init { atomic { run Machine(0); run Machine(1) } }
