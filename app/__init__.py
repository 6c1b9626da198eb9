"""The explorer: a Streamlit app that shows what a store holds. It reads, draws, and computes nothing."""
