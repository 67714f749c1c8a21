package sendledger.bench;

import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** Arguments: bootstrap servers, name, directory of the state, events, output topic, source topics. */
public final class Main {
    private Main() {}

    public static void main(String[] given) throws InterruptedException {
        Progress progress = new Progress(Long.parseLong(given[3]));
        Topology topology = new Topology();
        String[] sources = Arrays.copyOfRange(given, 5, given.length);
        topology.addSource("sources", new StringDeserializer(), new ByteArrayDeserializer(), sources)
                .addProcessor("fold", () -> new Fold(progress), "sources")
                .addStateStore(store(Fold.RECIPIENTS), "fold")
                .addStateStore(store(Fold.COUNTS), "fold")
                .addSink("counts-told", given[4], new StringSerializer(), new ByteArraySerializer(), "fold");
        try (KafkaStreams streams = new KafkaStreams(topology, properties(given[0], given[1], given[2]))) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            progress.finished.await();
            while (progress.untold.get() > 0) {
                TimeUnit.MILLISECONDS.sleep(50);
            }
            streams.close(Duration.ofSeconds(60));
        }
        System.out.printf("{\"seconds\": %.3f}%n", progress.seconds());
    }

    private static StoreBuilder<KeyValueStore<String, byte[]>> store(String name) {
        return Stores.keyValueStoreBuilder(
                        Stores.persistentKeyValueStore(name), Serdes.String(), Serdes.ByteArray())
                .withCachingEnabled();
    }

    private static Properties properties(String servers, String name, String directory) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, directory);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L * 1024 * 1024);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        properties.put(StreamsConfig.producerPrefix("compression.type"), "lz4");  // as all the others
        properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        return properties;
    }
}
