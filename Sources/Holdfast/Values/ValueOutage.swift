/// The value node is away, or refuses to be written to whatever the key.
package struct ValueOutage: Error, CustomStringConvertible {
    package let description: String
}
