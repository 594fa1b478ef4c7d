/// A value on the heap: an async function that keeps it has a pointer in its frame, and not all of the value.
package final class Box<Value: Sendable>: Sendable {
    package let value: Value

    package init(_ value: Value) { self.value = value }
}
