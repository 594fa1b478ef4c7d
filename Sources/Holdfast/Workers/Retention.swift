/// How long what is over is kept.
public struct Retention: Sendable, Equatable {
    /// Days that finished jobs are kept; default 30.
    public var finishedDays: Int32 = 30
    /// Days that the lock history is kept; default 400.
    public var historyDays: Int32 = 400

    /// The defaults.
    public init() {}
}
