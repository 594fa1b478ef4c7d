/// A value that takes work to have: had once for all who ask for it at about the same time.
actor Shared<Value: Sendable> {
    private let lifetime: Duration
    private let make: @Sendable () async throws -> Value
    private var last: (value: Value, at: ContinuousClock.Instant)?
    private var making: Task<Value, any Error>?

    /// - Parameters:
    ///   - lifetime: How old a value may be.
    ///   - make: Makes a new one; needs a deadline of its own.
    init(lifetime: Duration, make: @escaping @Sendable () async throws -> Value) {
        self.lifetime = lifetime
        self.make = make
    }

    /// Makes the next who asks get a new value, because what it is made of was changed.
    func forget() {
        last = nil
        making = nil
    }

    /// The value, made anew unless there is one that is young enough.
    ///
    /// - Throws: What `make` throws.
    func value() async throws -> Value {
        if let last, last.at.duration(to: .now) < lifetime { return last.value }
        // Unstructured, because all who ask meanwhile wait for it, and none of them owns it.
        let task = making ?? Task { [make] in try await make() }
        making = task
        let result = await task.result
        if making == task {
            making = nil
            if case .success(let value) = result { last = (value, .now) }
        }
        return try result.get()
    }
}
