/// What a pool's connections are doing.
package struct PoolStatus: Sendable, Equatable {
    package let idle: Int
    package let lent: Int
    package let opening: Int
    /// How many borrowers wait.
    package let waiting: Int

    package init(idle: Int = 0, lent: Int = 0, opening: Int = 0, waiting: Int = 0) {
        self.idle = idle
        self.lent = lent
        self.opening = opening
        self.waiting = waiting
    }
}
