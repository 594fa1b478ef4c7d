/// A task that needs something besides its lock: while that is away, no job of its kind is begun.
package protocol GatedTask: TaskHandler {
    /// Why no job of the kind can run now, in words; `nil` when one can.
    var obstacle: String? { get }
    /// What is not as it should be with what the task needs, in words.
    var warnings: [String] { get }
}
