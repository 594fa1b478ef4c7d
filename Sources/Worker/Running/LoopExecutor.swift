import NIOCore

/// Runs the tasks of claims, heartbeats and upkeep on the event loop that lock nodes answer on.
///
/// An attempt waits for answers ten times and more, and goes on at once where they come in. A job's own code is not run
/// here: it may take the thread for long.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
