output "database" {
  description = "Name of the database, as LEDGER=firestore:NAME takes it."
  value       = google_firestore_database.this.name
}
