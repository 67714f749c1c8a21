package sendledger.bench;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** The numbers of one campaign in one partition: `requested` = the sum of the buckets. */
final class Counts {
    private final long[] buckets = new long[Recipient.BUCKETS.size()];

    static Counts decode(byte[] stored) {
        Counts counts = new Counts();
        if (stored != null) {
            ByteBuffer.wrap(stored).asLongBuffer().get(counts.buckets);
        }
        return counts;
    }

    byte[] encode() {
        ByteBuffer out = ByteBuffer.allocate(8 * buckets.length);
        out.asLongBuffer().put(buckets);
        return out.array();
    }

    /** One message leaves a bucket and enters another; -1 = none. */
    void move(int before, int after) {
        if (before >= 0) {
            buckets[before]--;
        }
        if (after >= 0) {
            buckets[after]++;
        }
    }

    byte[] json() {
        long requested = 0;
        StringBuilder out = new StringBuilder("{");
        for (int bucket = 0; bucket < buckets.length; bucket++) {
            requested += buckets[bucket];
            out.append('"').append(Recipient.BUCKETS.get(bucket)).append("\":").append(buckets[bucket]).append(',');
        }
        return out.append("\"requested\":").append(requested).append('}').toString().getBytes(StandardCharsets.UTF_8);
    }
}
