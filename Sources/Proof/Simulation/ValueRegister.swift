import PlantedBugs
import Redlock

/// What the value node answered.
struct WriteAnswer: Sendable {
    /// The fence that turned the write away; `nil` when it took effect.
    let highest: Fence?
}

/// What the value node's script does: a lower fence than the highest is turned away.
///
/// Unchecked: one thread runs a simulation.
final class ValueRegister: @unchecked Sendable {
    /// Told of each write that took effect.
    var onWrite: (Fence) -> Void = { _ in }
    private let judge: Judge
    private var fences: [LockKey: Fence] = [:]

    init(_ judge: Judge) { self.judge = judge }

    func write(_ key: LockKey, _ fence: Fence) -> WriteAnswer {
        if let highest = fences[key], fence < highest, !PlantedBug.writeWithoutFence.isPlanted {
            return WriteAnswer(highest: highest)
        }
        fences[key] = fence
        judge.wrote(key, fence)
        onWrite(fence)
        return WriteAnswer(highest: nil)
    }
}
