"""What the codec gives, measured: installs as ``diffc_benchmarks``, needs the extra ``bench``."""
