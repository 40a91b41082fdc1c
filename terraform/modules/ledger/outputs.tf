output "database" {
  description = "Name of the database, as LEDGER=firestore:NAME takes it. Known once its writers may use it."
  value       = google_firestore_database.this.name
  depends_on  = [google_project_iam_member.writers]
}
