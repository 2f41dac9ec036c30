/// A zip archive of stored members, each dated 1980-01-01 as numpy does: the same content gives the same bytes.
struct Zip {
    private var bytes: [UInt8] = []
    private var directory: [UInt8] = []
    private var count = 0

    mutating func add(_ name: String, _ content: [UInt8]) {
        // Version 2.0, no flags, stored, midnight of 1980-01-01, checksum, sizes, length of the name, no extra field.
        var common: [UInt8] = []
        for field in [20, 0, 0, 0, 0x21] { common.put(field, bytes: 2) }
        for field in [Int(crc32(content)), content.count, content.count] { common.put(field, bytes: 4) }
        for field in [name.utf8.count, 0] { common.put(field, bytes: 2) }

        // No comment, first disk, no attributes, place of the member.
        directory.put(0x0201_4b50, bytes: 4)
        directory.put(20, bytes: 2)
        directory += common
        directory.put(0, bytes: 10)
        directory.put(bytes.count, bytes: 4)
        directory += Array(name.utf8)

        bytes.put(0x0403_4b50, bytes: 4)
        bytes += common
        bytes += Array(name.utf8)
        bytes += content
        count += 1
    }

    /// The archive with its directory at the end.
    func finished() -> [UInt8] {
        var archive = bytes + directory
        archive.put(0x0605_4b50, bytes: 4)
        for field in [0, 0, count, count] { archive.put(field, bytes: 2) }
        for field in [directory.count, bytes.count] { archive.put(field, bytes: 4) }
        archive.put(0, bytes: 2)
        return archive
    }
}

extension [UInt8] {
    /// Appends a number, little-endian.
    fileprivate mutating func put(_ value: Int, bytes: Int) {
        for place in 0..<bytes { append(place < 8 ? UInt8(truncatingIfNeeded: value >> (8 * place)) : 0) }
    }
}

/// The checksum of zip: the reflected polynomial 0xedb88320.
func crc32(_ bytes: [UInt8]) -> UInt32 {
    var sum: UInt32 = 0xffff_ffff
    for byte in bytes { sum = crcTable[Int((sum ^ UInt32(byte)) & 0xff)] ^ (sum >> 8) }
    return ~sum
}

private let crcTable: [UInt32] = (0..<256).map { byte in
    var value = UInt32(byte)
    for _ in 0..<8 { value = value & 1 == 1 ? 0xedb8_8320 ^ (value >> 1) : value >> 1 }
    return value
}
