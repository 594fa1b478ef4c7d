#ifndef TASK_HOOK_H
#define TASK_HOOK_H

/// Is given a job that Swift's runtime would hand to its global executor.
typedef void (*task_taker)(void *_Nonnull owner, void *_Nonnull job);

/// Gives the jobs that come up on this thread to `taker`, with `owner`, from now on; other threads are left alone.
///
/// With a null owner, this thread is left alone again.
void take_tasks(void *_Nullable owner, task_taker _Nonnull taker);

#endif
