public import Holdfast

/// What a worker is made with.
public struct WorkerConfiguration: Sendable {
    /// What it is called in the list of workers; default `worker`.
    public var name = "worker"
    /// The queues it claims from; default `default`.
    public var queues = ["default"]
    /// How many tasks it runs at once; default 1,000.
    public var slots = 1000
    /// How many connections to PostgreSQL it opens, besides one that listens and one for heartbeats; default 8.
    public var connections = 8
    /// The most jobs of one line in one claim, which end with the one that fills 256 KiB; default 1,024.
    public var runLimit = 1024
    /// After so long, a run gives its line back although it has jobs left; default 1 s.
    public var runTimeSlice: Duration = .seconds(1)
    /// How often it looks for ready lines when nothing wakes it; default 1 s.
    public var pollInterval: Duration = .seconds(1)
    /// How much longer than declared a task may take, from its start, before it is cancelled; default 30 s.
    public var grace: Duration = .seconds(30)
    /// How long what is over is kept.
    public var retention = Retention()

    /// The defaults.
    public init() {}
}
