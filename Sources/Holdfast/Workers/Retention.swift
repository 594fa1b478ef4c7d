/// How long what is over is kept.
package struct Retention: Sendable, Equatable {
    /// Days that finished jobs are kept; default 30.
    package var finishedDays: Int32 = 30
    /// Days that the lock history is kept; default 400.
    package var historyDays: Int32 = 400

    /// The defaults.
    package init() {}
}
