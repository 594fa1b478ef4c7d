#include "task_hook.h"

#define SWIFTCALL __attribute__((swiftcall))

typedef SWIFTCALL void (*enqueue_function)(void *job);

// Swift's runtime has this variable for those who schedule tasks themselves: ConcurrencyHooks.def in its sources.
extern SWIFTCALL void (*swift_task_enqueueGlobal_hook)(void *job, enqueue_function original);

static _Thread_local void *owner_of_thread;
static _Thread_local task_taker taker_of_thread;

static SWIFTCALL void enqueue(void *job, enqueue_function original) {
    if (owner_of_thread) {
        taker_of_thread(owner_of_thread, job);
    } else {
        original(job);
    }
}

void take_tasks(void *owner, task_taker taker) {
    owner_of_thread = owner;
    taker_of_thread = taker;
    __atomic_store_n((void **)&swift_task_enqueueGlobal_hook, (void *)enqueue, __ATOMIC_RELEASE);
}
