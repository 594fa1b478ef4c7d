package import Holdfast

/// What a ``Worker`` is made with.
package struct WorkerConfiguration: Sendable {
    /// What it is called in the list of workers; default `worker`.
    package var name = "worker"
    /// The queues it claims from; default `default`.
    package var queues = ["default"]
    /// How many tasks it runs at once; default 256.
    package var slots = 256
    /// The most jobs of one line in one claim; default 64.
    package var runLimit = 64
    /// After so long, a run gives its line back although it has jobs left; default 1 s.
    package var runTimeSlice: Duration = .seconds(1)
    /// How often it looks for ready lines when nothing wakes it; default 1 s.
    package var pollInterval: Duration = .seconds(1)
    /// How much longer than declared a task may take before it is cancelled; default 30 s.
    package var grace: Duration = .seconds(30)

    /// How long what is over is kept.
    package var retention = Retention()

    /// The defaults.
    package init() {}
}
