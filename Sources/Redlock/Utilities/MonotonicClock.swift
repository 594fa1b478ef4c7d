/// A clock whose instants are `ContinuousClock`'s: code stores plain instants, and tests pass a clock they move by hand.
package protocol MonotonicClock: Clock where Duration == Swift.Duration, Instant == ContinuousClock.Instant {}

extension ContinuousClock: MonotonicClock {}
